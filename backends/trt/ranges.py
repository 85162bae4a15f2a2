"""Ranges of activations for symmetric quantization, from runs of the float ONNX on calibration data.

The float model runs under ONNX Runtime on the host that compiles. Two passes: the first finds the largest
|x| of every tensor, the second a histogram of |x|, so memory does not grow with the calibration data.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...profiles.errors import UnsupportedError
from ..calibration.ranges import BINS, kept_bins
from ..contract.backend import CALIBRATION_METHODS, CalibrationData
from ..onnx_graph.session import RUNTIME, observed

if TYPE_CHECKING:
    import onnx

EVERY_CORE = 0


def need_onnxruntime(purpose: str) -> Any:
    """The onnxruntime module.

    Raises:
        UnsupportedError: it is not installed; the message says what needs it and how to install it.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise UnsupportedError(
            f"trt: {purpose} needs {RUNTIME} on the machine that compiles: pip install {RUNTIME}"
        ) from error
    return onnxruntime


def fold(model: onnx.ModelProto, workdir: Path) -> onnx.ModelProto:
    """The same float model with constants folded and batch normalization merged into convolutions.

    Quantization then finds every weight as an initializer. Done by ONNX Runtime's basic optimizations, which
    leave only standard operators.
    """
    import onnx

    ort = need_onnxruntime("quantization")
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(workdir / "folded.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    folded = onnx.load(workdir / "folded.onnx")
    # The file names every operator set that ONNX Runtime knows; TensorRT needs those in use.
    used = {node.domain for node in folded.graph.node} | {""}
    kept = [entry for entry in folded.opset_import if entry.domain in used]
    folded.ClearField("opset_import")
    folded.opset_import.extend(kept)
    (workdir / "folded.onnx").unlink()
    return folded


def activation_ranges(
    model: onnx.ModelProto, tensors: Iterable[str], data: CalibrationData, method: str, batch: int
) -> dict[str, float]:
    """Largest magnitude to keep of each of `tensors`, for method "minmax", "percentile" or "entropy".

    Raises:
        ValueError: the method is unknown or the data is empty or not finite.
        UnsupportedError: onnxruntime is not installed.
    """
    if method not in CALIBRATION_METHODS:
        raise ValueError(f"calibration method {method!r} is none of {', '.join(CALIBRATION_METHODS)}")
    if not data or not all(len(array) for array in data.values()):
        raise ValueError("the calibration data is empty")
    need_onnxruntime("calibration")
    names = sorted(set(tensors))
    largest = dict.fromkeys(names, 0.0)
    for values in observed(model, names, data, batch, EVERY_CORE):
        for name, value in values.items():
            # np.maximum keeps NaN, where max() would lose it
            largest[name] = float(np.maximum(largest[name], np.abs(value).max(initial=0.0)))
    _finite(largest)
    if method == "minmax":
        return largest
    histograms = {name: np.zeros(BINS, dtype=np.int64) for name in names}
    for values in observed(model, names, data, batch, EVERY_CORE):
        for name, value in values.items():
            histograms[name] += np.histogram(np.abs(value), bins=BINS, range=(0.0, largest[name] or 1.0))[0]
    return {name: largest[name] * kept_bins(histograms[name], method) / BINS for name in names}


def _finite(largest: dict[str, float]) -> None:
    bad = [name for name, value in largest.items() if not np.isfinite(value)]
    if bad:
        raise ValueError(f"the calibration data gives values that are not finite in {bad[0]!r}")
