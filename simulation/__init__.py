"""Vehicles that never were and drives that were: fleets, device behaviour, replay of recordings."""
