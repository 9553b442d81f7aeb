"""AVL: what the numbered IO elements of Teltonika's trackers mean, by family of trackers."""
