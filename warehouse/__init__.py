"""Warehouse: everything between the hot tier and the answers, as plain functions over settings.

day_load    whole days from TimescaleDB into ClickHouse by the merge rule
dirty       which loaded days have since changed
retention   hot rows go, once they are proven to be merged
checks      what must hold between the tiers, each able to fail
publish     summaries into Redis
history     one read across tiers for one vehicle

`orchestration` wraps these in Dagster; `serving` uses `history` alone.
"""
