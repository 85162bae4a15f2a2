"""What the user brings."""
