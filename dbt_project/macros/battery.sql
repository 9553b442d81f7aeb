{#
  Resistance of battery and cables during a crank, in milliohms, as at 25 Cel and up: the dip over the current
  of the starter at the air temperature. Current 380 A, +0.6 % a degree below 10 Cel; resistance +1.2 % a degree
  below 25 Cel. Assumptions of the project's model notes (3.2), stated there as such; a wrong one shifts all
  vehicles of a temperature alike. Null where the temperature is not known.
#}
{% macro crank_resistance_mohm(rest_v, crank_v, ambient_c) -%}
if(
            {{ ambient_c }} is null, -- greatest() passes over nulls
            null,
            1000 * ({{ rest_v }} - {{ crank_v }})
            / (380 * (1 + 0.006 * greatest(0, 10 - {{ ambient_c }})))
            / (1 + 0.012 * greatest(0, 25 - {{ ambient_c }}))
        )
{%- endmacro %}

{#
  SAE J2012 codes that speak of the 12 V supply itself: system voltage (P0560 to P0563), generator and its
  control (P0620 to P0622, P0625, P0626), charging voltage (P2502 to P2504).
#}
{% macro battery_dtc_codes() -%}
['P0560', 'P0561', 'P0562', 'P0563', 'P0620', 'P0621', 'P0622', 'P0625', 'P0626', 'P2502', 'P2503', 'P2504']
{%- endmacro %}
