"""Keys with which devices post their readings: one device each, shown once, kept as hashes."""
