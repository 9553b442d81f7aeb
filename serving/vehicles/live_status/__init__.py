"""A vehicle's newest state."""
