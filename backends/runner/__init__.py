"""The process on the device, and the line to it."""
