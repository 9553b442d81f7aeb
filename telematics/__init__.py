"""The domain's words, free of input and output: records, units, VIN, names, settings, errors, clock."""
