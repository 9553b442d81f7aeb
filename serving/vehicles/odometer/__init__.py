"""A vehicle's mileage over time."""
