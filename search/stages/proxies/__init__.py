"""Zero-cost proxies: what a network tells of its quality before any training, from one batch of data."""
