"""A device under load: requests that come when they like, and wait where it is busy."""
