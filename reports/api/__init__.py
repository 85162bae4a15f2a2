"""The calls from Python, of the names that the commands have."""
