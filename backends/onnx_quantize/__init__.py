"""An ONNX file made smaller: each precision that runtimes which read ONNX share."""

from ...profiles.precision import Precision
from ..contract.backend import Maker

MAKER = Maker(name="onnx-quantize", tools=("onnxruntime", "onnxruntime-gpu", "onnx"))
SHARED = (Precision.INT8,)
"""Where making takes long enough that one runtime should find what another one had made."""
