"""Devices, vehicles and which device sat in which vehicle when."""
