"""The state of a device while it is measured."""
