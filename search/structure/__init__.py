"""A network as a graph of operations, and what it tells without data."""
