"""Meters of energy: which a device has, and what inference takes by one of them."""
