-- Warm and cold: one table on two volumes. The TTL that moves and recompresses days past warm retention follows
-- a setting, so it is put in place by migrations.clickhouse.tiers after every upgrade; it never deletes.
-- The server's configuration must have the storage policy (stack.servers.clickhouse).
alter table analytics.telemetry modify setting
    storage_policy = 'tiered',
    -- a day that is loaded again is written with LZ4 and recompressed this soon after (the default is 4 h)
    merge_with_recompression_ttl_timeout = 3600,
    -- column statistics take 21 kB a part: 2.5 B a row where a day has 8,500 of them
    auto_statistics_types = '',
    -- a changed retention is noted in the parts without writing them anew
    materialize_ttl_recalculate_only = 1;
