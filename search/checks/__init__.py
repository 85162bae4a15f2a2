"""What may change, and whether it has: bands, paired tests, and the correction for many of them."""
