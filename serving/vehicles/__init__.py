"""What a partner reads of a vehicle; every query takes a VehicleAccess from the gate."""

API_PREFIX = "/api/v1"
