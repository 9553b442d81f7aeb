{#
  telemetry_hourly as a continuous aggregate, for TimescaleDB under the Timescale licence.

  UNPROVEN: the stack here runs the Apache edition, which refuses continuous aggregates, so this has never
  been executed. On the other edition, once:
      dbt run-operation create_telemetry_hourly_aggregate --target timescale
  and from then on PISTON_TIMESCALE_EDITION=timescale, which switches the dbt model of that name off. The
  refresh window must stay inside the days that are kept hot, or dropped rows would empty old buckets.
#}
{% macro create_telemetry_hourly_aggregate() %}
  {% set edition = run_query("select current_setting('timescaledb.license')").rows[0][0] %}
  {% if edition != 'timescale' %}
    {% do exceptions.raise_compiler_error(
      "this TimescaleDB runs under the licence '" ~ edition ~ "', which has no continuous aggregates; "
      ~ "build the dbt model telemetry_hourly instead") %}
  {% endif %}
  {% call statement('aggregate', auto_begin=False) %}
    drop table if exists public.telemetry_hourly;
    create materialized view public.telemetry_hourly with (timescaledb.continuous) as
    select
        time_bucket('1 hour', time) as bucket,
        device_id,
        vin,
        avg(speed_mph) as avg_speed,
        max(odometer) - min(odometer) as miles_driven,
        count(*) as data_points
    from public.telemetry
    group by bucket, device_id, vin
    with no data;
    select add_continuous_aggregate_policy(
        'public.telemetry_hourly',
        start_offset => interval '6 days', end_offset => interval '1 hour',
        schedule_interval => interval '1 hour'
    );
  {% endcall %}
{% endmacro %}
