"""The `piston` command: thin shells over the packages."""
