"""A folder that runs elsewhere."""
