"""What a device is, as data."""
