{#
  Whether a stretch of records between two breaks is a trip, from its sums.

  What the device marked is one in any case. What silences, standstill, the ignition or midnight told apart must
  have been seen under way: a car that only reports while it is parked makes no trips.
#}
{% macro is_counted_trip(boundary_source, opened_by_midnight, record_count, max_speed_mph) -%}
(
    ({{ boundary_source }} = 'device' and not {{ opened_by_midnight }})
    or ({{ record_count }} > 1 and coalesce({{ max_speed_mph }}, 0) >= {{ moving_mph() }})
)
{%- endmacro %}
