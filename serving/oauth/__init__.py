"""OAuth 2.0 client credentials: tokens, keys and their metadata."""
