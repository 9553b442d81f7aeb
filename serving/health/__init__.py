"""Whether this process lives, and whether its stores answer."""
