"""A backend without a runtime, for tests."""
