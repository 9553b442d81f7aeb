"""RFC 9457 problem documents: the errors, their handlers and their place in the OpenAPI document."""
