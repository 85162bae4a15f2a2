"""An ONNX file made smaller: each precision that runtimes which read ONNX share."""
