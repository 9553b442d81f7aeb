"""The API's own page, without any address outside."""
