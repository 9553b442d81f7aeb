"""Models: from feature rows to predictions, as plain functions over tables; no I/O but the registry's files."""
