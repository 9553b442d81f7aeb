"""Warehouse: everything between the hot tier and the answers, as plain functions over settings.

day_load       whole days from TimescaleDB into ClickHouse by the merge rule
crossing       the bytes on their way between the two; merging, staging: statements and tables of a load
steps, stored  the integers that measured numbers are kept as, and how ClickHouse's table makes values of them
ledger, dirty  which tier serves a day; which loaded days have since changed
backfill       histories from files: day signals of models, and telemetry row by row
retention      hot rows go, once they are proven to be merged
archive        days that left ClickHouse, as Parquet on object storage
warm_hours     hours of days that are no longer hot, for dbt
*checks        what must hold in and between the tiers, each able to fail; measures: what is shown of them
publish        summaries into Redis
search         the search index: rebuilt, and fed with live states
history        one read across tiers, for one vehicle or many

`orchestration` wraps these in Dagster; `serving` uses `history` and `search` alone.
"""
