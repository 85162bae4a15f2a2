"""What a device is. Imports nothing else of ours."""
