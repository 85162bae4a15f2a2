"""A device that is not there: artifacts are compiled and scored here, and what they cost is estimated."""
