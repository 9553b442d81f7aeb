"""Kafka to TimescaleDB: rows, dead letters and offsets in one transaction."""
