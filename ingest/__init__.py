"""The stream tier: from a tracker's bytes to durable rows and live state."""
