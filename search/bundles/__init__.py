"""A bundle that was written earlier, read as foreign data."""
