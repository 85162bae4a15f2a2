"""What of a store the runs that use it still need, and the rest removed."""
