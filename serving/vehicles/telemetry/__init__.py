"""A vehicle's records over all tiers."""
