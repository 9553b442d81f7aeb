{#
  Which of three distances to take, as a tuple (metres, by, reason). The first that holds:

  by odometer, 'can_counter'      the vehicle's own counter (AVL 87, metres), from 1 km on
  by odometer, 'obd_counter'      the same over OBD (AVL 389), which counts whole kilometres: from 50 km on
  by speed, 'dense_speed'         steps with a known speed cover at least four fifths of the time
  by position, 'sparse_speed'     they do not, and the satellite fixes went further
  by speed, 'only_speed'          nothing better

  A counter that contradicts a dense speed by more than a fifth is not taken ('counter_disagrees'). The
  tracker's own odometer (AVL 16) is never taken: it is made of the same fixes, and its start can be set.
#}
{% macro chosen_distance(source, odometer_m, speed_m, gps_m, coverage) -%}
multiIf(
            {{ odometer_m }} is not null and {{ coverage }} >= 0.8
            and (
                ({{ source }} = 'can' and {{ odometer_m }} >= 1000)
                or ({{ source }} = 'obd' and {{ odometer_m }} >= 50000)
            )
            and abs({{ odometer_m }} - {{ speed_m }}) > 0.2 * {{ odometer_m }},
            (toFloat64({{ speed_m }}), 'speed', 'counter_disagrees'),
            {{ source }} = 'can' and {{ odometer_m }} >= 1000,
            (toFloat64(assumeNotNull({{ odometer_m }})), 'odometer', 'can_counter'),
            {{ source }} = 'obd' and {{ odometer_m }} >= 50000,
            (toFloat64(assumeNotNull({{ odometer_m }})), 'odometer', 'obd_counter'),
            {{ coverage }} >= 0.8,
            (toFloat64({{ speed_m }}), 'speed', 'dense_speed'),
            {{ gps_m }} > {{ speed_m }},
            (toFloat64({{ gps_m }}), 'position', 'sparse_speed'),
            (toFloat64({{ speed_m }}), 'speed', 'only_speed')
        )
{%- endmacro %}
