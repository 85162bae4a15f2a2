"""Code of others, called."""
