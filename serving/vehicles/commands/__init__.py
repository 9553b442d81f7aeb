"""Commands to a vehicle's tracker, through the queue that gateways send from."""
