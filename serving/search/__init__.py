"""GET /api/v1/search: which of the partner's vehicles fit, as far as consent reaches."""
