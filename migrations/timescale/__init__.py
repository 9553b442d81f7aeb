"""Alembic migrations of the hot tier."""
