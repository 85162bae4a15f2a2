"""What a model would take on a device that cannot be asked: latency, memory and energy, with intervals."""
