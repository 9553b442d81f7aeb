{#
  insert_overwrite, made safe for tables that are partitioned by month and rebuilt by day.

  dbt-clickhouse's own macro replaces each month by what the model returned: the days of that month which
  the run did not touch would be lost, and a month that became empty would keep its old rows. This one
  1. builds the run's days aside,
  2. adds the other days of the same months as the table holds them now,
  3. replaces each of these months by one atomic REPLACE PARTITION,
  so a reader sees every month either before or after the run, never a part of it.

  A model says which days it returns by meta: day_column, days_before, days_after (see in_rebuilt_days).
  Two runs on one month at a time would undo each other; Dagster's pool `clickhouse_marts` prevents that.
#}
{% macro clickhouse__incremental_insert_overwrite(existing_relation, partition_by, is_distributed=False) %}
  {% set meta = config.get('meta', {}) %}
  {% if is_distributed or 'day_column' not in meta %}
    {% do exceptions.raise_compiler_error(
      'insert_overwrite needs meta.day_column and a table that is not distributed: ' ~ existing_relation) %}
  {% endif %}
  {% set aside = existing_relation.incorporate(
    path={'identifier': existing_relation.identifier ~ '__dbt_new_data_' ~ invocation_id.replace('-', '_')}) %}

  {# what a killed run left behind; an hour is longer than any run #}
  {% set abandoned %}
    select name from system.tables
    where database = '{{ existing_relation.schema }}'
      and startsWith(name, '{{ existing_relation.identifier }}__dbt_new_data_')
      and metadata_modification_time < now() - interval 1 hour
  {% endset %}
  {% for table in run_query(abandoned).rows %}
    {% do adapter.drop_relation(existing_relation.incorporate(path={'identifier': table[0]})) %}
  {% endfor %}

  {% call statement('main') %}
    {{ get_create_table_as_sql(False, aside, sql) }}
  {% endcall %}

  {% set columns = adapter.get_columns_in_relation(existing_relation) | map(attribute='quoted') | join(', ') %}
  {% set day = meta['day_column'] %}
  {% set first = shifted_day(run_first_day(), -meta['days_before']) %}
  {% set until = shifted_day(run_until_day(), meta['days_after']) %}
  {% call statement('other_days') %}
    insert into {{ aside }} ({{ columns }})
    select {{ columns }} from {{ existing_relation }}
    where toYYYYMM({{ day }}) between toYYYYMM(toDate('{{ first }}')) and toYYYYMM(toDate('{{ until }}') - 1)
      and not ({{ day }} >= '{{ first }}' and {{ day }} < '{{ until }}')
  {% endcall %}

  {% set touched %}
    select distinct partition_id from system.parts
    where active and database = '{{ existing_relation.schema }}'
      and table in ('{{ existing_relation.identifier }}', '{{ aside.identifier }}')
      and toUInt32(partition) between toYYYYMM(toDate('{{ first }}')) and toYYYYMM(toDate('{{ until }}') - 1)
    order by partition_id
  {% endset %}
  {% set months = run_query(touched).rows %}
  {% if months %}
    {% call statement('replace_months') %}
      alter table {{ existing_relation }}
      {% for month in months %}
        replace partition id '{{ month[0] }}' from {{ aside }}{{ ',' if not loop.last }}
      {% endfor %}
      settings allow_replace_partition_from_empty_source = 1
    {% endcall %}
  {% endif %}
  {% do adapter.drop_relation(aside) %}
{% endmacro %}
