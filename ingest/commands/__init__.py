"""Commands to devices: kept in `device_commands` until a session takes them, matched with their answers."""
