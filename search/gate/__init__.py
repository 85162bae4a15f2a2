"""Stops what cannot win, before it is trained or at a rung of its training."""
