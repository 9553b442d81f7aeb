"""Frames of devices that were not registered when they came: to be looked at, sent on or dropped."""
