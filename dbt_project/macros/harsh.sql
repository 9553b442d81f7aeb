{#
  When a difference of speeds is a harsh event, in g, by how densely the records lie.

  Thresholds, for cars:
  - about 1 Hz (0.5 to 2 s): braking 0.275, acceleration 0.255. The defaults of Teltonika's own green driving when it
    takes the satellites' speed: 2.7 and 2.5 m/s2 (FMB parameters 11005, 11004, source GPS).
  - at least 4 Hz: braking 0.38, acceleration 0.37, GPS Insight's recommendation for vehicles up to 6,000 lb by
    accelerometer. Digital Matter ships 0.45 (4.4 m/s2) and calls 0.31 a setting for testing. Averaging over
    seconds takes a quarter away, which is the difference between the two rows.
  - records more than 2 s apart say nothing: a stop lasts about as long as their step.

  Baseline: 2 s at 1 Hz, which is the central difference of two points: of the simple formulas it has the least noise
  for 1 Hz satellite and OBD speeds (Wallace et al., 2015, against 40 Hz accelerometers, correlation 0.81).
#}
{% macro fast_records_in_2_s() -%} 8 {%- endmacro %}

{% macro braking_threshold_g(is_fast) -%} if({{ is_fast }}, 0.38, 0.275) {%- endmacro %}

{% macro acceleration_threshold_g(is_fast) -%} if({{ is_fast }}, 0.37, 0.255) {%- endmacro %}
