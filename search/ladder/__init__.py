"""Repairs lost quality, cheapest rung first."""
