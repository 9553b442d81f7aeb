"""Readings that devices and partners post, on their way into the stream."""
