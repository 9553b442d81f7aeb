"""The search index of vehicles: its template with the mapping, and the alias that readers ask.

Names: `vehicles` is an alias; behind it lies one of `vehicles-1`, `vehicles-2` and so on, made anew by each
rebuild (`warehouse.search`). The template gives every one of them this release's mapping.
"""
