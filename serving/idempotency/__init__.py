"""Idempotency-Key: a POST sent again has its effect once (draft-ietf-httpapi-idempotency-key-header)."""
