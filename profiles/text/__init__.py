"""What users write, read with its place: YAML, names, numbers with units."""
