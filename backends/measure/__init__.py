"""Numbers from a session."""
