-- A storage policy can only grow: the table stays on its two volumes, and parts move no more.
-- `remove ttl` is an error where there is none.
alter table analytics.telemetry
    modify ttl toDateTime(time) + interval 100 year to volume 'cold' settings materialize_ttl_after_modify = 0;
alter table analytics.telemetry remove ttl;
