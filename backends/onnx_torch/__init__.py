"""An ONNX file as a PyTorch module, for runtimes that convert from PyTorch alone."""
