"""A smaller network out of a larger one."""
