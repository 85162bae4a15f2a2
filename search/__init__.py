"""What to try next and how to evaluate it."""
