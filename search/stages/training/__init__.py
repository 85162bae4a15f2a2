"""How a network is trained, made sparse and fake-quantized."""
