"""One device, one user: who may measure on it now."""
