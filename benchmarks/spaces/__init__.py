"""Workloads with students of many kinds, whose spaces are recorded whole."""
