"""Dagster definitions: thin decorators over functions of `warehouse`."""
