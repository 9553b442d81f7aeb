"""Kafka as the stream tier uses it: producer, consumer loop, message headers."""
