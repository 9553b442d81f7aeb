"""What is expected to fail, when, and why we think so."""
