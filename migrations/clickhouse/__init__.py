"""Numbered SQL files: `NNNN_name.up.sql` and `NNNN_name.down.sql`, each statement ends with a line's `;`."""
