"""Models: from feature rows to predictions, as plain functions over tables.

No input or output but the registry's files.
"""
