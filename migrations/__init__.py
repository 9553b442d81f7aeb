"""All DDL that is not dbt's: TimescaleDB (Alembic), ClickHouse (numbered SQL), Kafka topics."""
