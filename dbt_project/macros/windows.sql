{#
  Windows over what was known, the only ones that features use.

  They run over the day on which a row became known (`known_day`, a number of days), never over the day that it
  is about, and end at the row's own as_of at the latest: a later row cannot enter by construction. `days` is
  their length, `ending_days_ago` moves them into the past as a whole.
#}
{% macro known_window(days, ending_days_ago=0) -%}
(
        partition by vin order by as_of_day
        range between {{ ending_days_ago + days - 1 }} preceding and
        {% if ending_days_ago %}{{ ending_days_ago }} preceding{% else %}current row{% endif %}
    )
{%- endmacro %}

{# A figure to six decimals, null where it does not exist: sums must not depend on the order of threads. #}
{% macro settled(figure) -%}
if(isFinite({{ figure }}), round(toFloat64({{ figure }}), 6), null)
{%- endmacro %}
