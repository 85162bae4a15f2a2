"""Stops what cannot win, before it is trained or at a milestone of its training."""
