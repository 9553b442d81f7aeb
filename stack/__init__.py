"""Installs and supervises the local servers, without Docker and without root rights."""
