"""Ranges out of histograms."""
