"""Steps that make one artifact from another, each kept under a content key."""
