{#
  The days of a run.

  `--event-time-start 2026-01-01 --event-time-end 2026-02-01` means the UTC days [2026-01-01, 2026-02-01).
  They travel as these flags and not as `--vars`, because changed vars make dbt parse everything again.
  Without them, and always with --full-refresh, a run means the whole history: everything that the sink
  accepts lies in the years 2000 to 2099. Unit tests bring days of their own and see all of them.
#}

{% macro run_first_day() -%}
  {{- return(run_bound('event_time_start', '2000-01-01')) -}}
{%- endmacro %}

{% macro run_until_day() -%}
  {{- return(run_bound('event_time_end', '2100-01-01')) -}}
{%- endmacro %}

{% macro run_bound(flag, otherwise) -%}
  {%- set given = invocation_args_dict.get(flag) -%}
  {%- set is_limited = given and not flags.FULL_REFRESH and model.resource_type != 'unit_test' -%}
  {{- return((given | string)[:10] if is_limited else otherwise) -}}
{%- endmacro %}

{% macro shifted_day(day, days) -%}
  {%- set moved = modules.datetime.date.fromisoformat(day) + modules.datetime.timedelta(days=days) -%}
  {{- return(moved.isoformat()) -}}
{%- endmacro %}

{# Whether a UTC date lies in the run's days, widened by whole days on either side. #}
{% macro in_run_days(column, before=0, after=0) -%}
  {{ column }} >= '{{ shifted_day(run_first_day(), -before) }}'
  and {{ column }} < '{{ shifted_day(run_until_day(), after) }}'
{%- endmacro %}

{#
  Whether an instant lies in the run's days, widened by whole days on either side, by `context_hours` more
  before, rows that only say how the first day began, and by `context_hours_after`, how the last one ended.
#}
{% macro recorded_in_run_days(column, before=0, after=0, context_hours=0, context_hours_after=0) -%}
  {{- adapter.dispatch('recorded_in_run_days')(column, before, after, context_hours, context_hours_after) -}}
{%- endmacro %}

{% macro clickhouse__recorded_in_run_days(column, before, after, context_hours, context_hours_after) -%}
  {{ column }} >= toDateTime64('{{ shifted_day(run_first_day(), -before) }} 00:00:00', 3, 'UTC')
  {%- if context_hours %} - interval {{ context_hours }} hour{% endif %}
  and {{ column }} < toDateTime64('{{ shifted_day(run_until_day(), after) }} 00:00:00', 3, 'UTC')
  {%- if context_hours_after %} + interval {{ context_hours_after }} hour{% endif %}
{%- endmacro %}

{% macro postgres__recorded_in_run_days(column, before, after, context_hours, context_hours_after) -%}
  {{ column }} >= timestamptz '{{ shifted_day(run_first_day(), -before) }} 00:00:00+00'
  {%- if context_hours %} - interval '{{ context_hours }} hours'{% endif %}
  and {{ column }} < timestamptz '{{ shifted_day(run_until_day(), after) }} 00:00:00+00'
  {%- if context_hours_after %} + interval '{{ context_hours_after }} hours'{% endif %}
{%- endmacro %}
