"""Alerts: what of a record somebody should hear about, and its way to Kafka and ClickHouse."""
