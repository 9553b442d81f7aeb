"""Kafka to Valkey: the newest state of each vehicle, ordered by the device's clock."""
