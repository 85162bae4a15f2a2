"""An ONNX file read, indexed and run on the CPU."""
