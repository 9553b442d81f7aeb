"""The four servers: what each is configured with, how it is started, and how we know that it is well."""
