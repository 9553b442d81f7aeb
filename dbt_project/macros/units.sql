{# One international mile in metres, exact (NIST SP 811, B.6). #}
{% macro metres_per_mile() -%} 1609.344 {%- endmacro %}

{# One mile per hour in metres per second, exact: 1609.344 / 3600. #}
{% macro mps_per_mph() -%} 0.44704 {%- endmacro %}

{# Great-circle distance in metres on the mean sphere (IUGG R1 = 6,371,008.8 m), from degrees. #}
{% macro haversine_m(from_lat, from_lng, to_lat, to_lng) -%}
2 * 6371008.8 * asin(least(1, sqrt(
    pow(sin(radians({{ to_lat }} - {{ from_lat }}) / 2), 2)
    + cos(radians({{ from_lat }})) * cos(radians({{ to_lat }})) * pow(sin(radians({{ to_lng }} - {{ from_lng }}) / 2), 2)
)))
{%- endmacro %}

{#
  From this speed on a vehicle is under way, in miles per hour: satellite fixes of a parked car drift by one or
  two, and OBD speeds are whole kilometres per hour.
#}
{% macro moving_mph() -%} 3 {%- endmacro %}
