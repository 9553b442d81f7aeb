"""The partner API: one folder per noun, every query through one gate."""
