"""What a stage made, under a key that names its causes."""
