"""Ranges of activations for ONNX Runtime's static quantizer, by each calibration method.

Least and greatest values come from ONNX Runtime's own observer. Percentile and entropy clip them where the
histogram of magnitudes says (see `trt_ranges`). ONNX Runtime's own versions keep all activations of all
samples in memory, and its entropy, with the 128 bins that it always takes, is the minmax method.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from . import trt_ranges
from .contract import Array, CalibrationData, batches


def activation_ranges(proto: onnx.ModelProto, data: CalibrationData, batch: int, method: str) -> Any:
    """onnxruntime's `TensorsData` with the range of every float activation that a quantizer could ask for.

    Memory grows with the model's activations at `batch`, not with the samples.

    Raises:
        ValueError: the method is unknown, or the data gives values that are not finite.
    """
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData

    extremes = _extremes(proto, data, batch)
    if method == "minmax":
        return extremes
    cuts = trt_ranges.activation_ranges(proto, extremes.keys(), data, method, batch)
    clipped = {}
    for name, found in extremes.items():
        low, high = found.range_value
        cut = np.asarray(cuts[name], low.dtype)
        clipped[name] = TensorData(lowest=np.maximum(low, -cut), highest=np.minimum(high, cut))
    return TensorsData(CalibrationMethod.MinMax, clipped)


def _extremes(proto: onnx.ModelProto, data: CalibrationData, batch: int) -> Any:
    from onnxruntime.quantization import CalibrationDataReader
    from onnxruntime.quantization.calibrate import create_calibrator
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """The samples in feeds of the deployed batch."""

        def __init__(self) -> None:
            self.feeds: Iterator[dict[str, Array]] = batches(data, batch)

        def get_next(self) -> dict[str, Array] | None:
            return next(self.feeds, None)

    with tempfile.TemporaryDirectory() as folder:
        plain, widened = Path(folder) / "plain.onnx", Path(folder) / "widened.onnx"
        onnx.save(proto, plain)
        operators = sorted({*QDQRegistry, *QLinearOpsRegistry})
        observer = create_calibrator(plain, operators, augmented_model_path=str(widened))
        observer.collect_data(Reader())
        return observer.compute_data()
