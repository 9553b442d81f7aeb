"""Records of many vehicles in one request."""
