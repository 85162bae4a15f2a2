"""Steps that turn one artifact into the next, each cached under a content key."""
