"""What deployment asks of an artifact beside its latency: load, memory, energy, placement, cost."""
