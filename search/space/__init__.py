"""The finite set of candidates."""
