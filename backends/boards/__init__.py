"""A board made ready, and found fit or not."""
