"""Grants, and the one gate through which vehicle data is reached."""
