"""Ranges of activations for ONNX Runtime's static quantizer, by each calibration method.

Least and greatest values come from ONNX Runtime's own observer. Percentile and entropy clip them where a
histogram of magnitudes says (see `calibration/ranges.py`). ONNX Runtime's own versions keep all activations
of all samples in memory, and its entropy, with the 128 bins that it always takes, is the minmax method.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from ..calibration.ranges import BINS, Histogram, check_finite, counted, kept_bins
from ..contract.backend import Array, CalibrationData, batches
from ..onnx_graph.layers import Graph, origin

# Attention masks put -1e4, the least float or minus infinity; 8 bits over that range flatten all the rest.
_MASK = 1e4


def activation_ranges(proto: onnx.ModelProto, data: CalibrationData, batch: int, method: str) -> Any:
    """onnxruntime's `TensorsData` with the range of every float activation that a quantizer could ask for.

    Memory grows with the model's activations at `batch`, not with the samples.
    """
    from onnxruntime.quantization.calibrate import CalibrationMethod, TensorData, TensorsData

    for name, values in data.items():
        check_finite(name, values)
    extremes = _extremes(proto, data, batch)
    for name, found in extremes.items():
        for end in found.range_value:  # infinite ones are those of masks
            check_finite(name, np.where(np.isnan(end), end, 0.0))
    if method == "minmax":
        return extremes
    graph = Graph(proto)
    source = {name: origin(graph, name) for name in extremes}
    magnitudes = {source[name]: float(np.abs(found.range_value).max()) for name, found in extremes.items()}
    largest = {name: magnitude for name, magnitude in magnitudes.items() if magnitude < _MASK}
    histograms = _histograms(proto, largest, data, batch)
    clipped = {}
    for name, found in extremes.items():
        low, high = found.range_value
        if source[name] not in largest:
            clipped[name] = found
            continue
        share = kept_bins(histograms[source[name]], method) / BINS
        cut = np.asarray(largest[source[name]] * share, low.dtype)
        clipped[name] = TensorData(lowest=np.maximum(low, -cut), highest=np.minimum(high, cut))
    return TensorsData(CalibrationMethod.MinMax, clipped)


def masking_nodes(proto: onnx.ModelProto, ranges: Any) -> list[str]:
    """Names of operators without weights that read or make values of 1e4 and more, or infinite ones.

    They apply attention masks, and must stay in float: quantized, the softmax that follows is flat or
    NaN. `ranges` are those of `activation_ranges`.
    """
    graph = Graph(proto)
    huge = {name for name in ranges if not _greatest(ranges[name].range_value) < _MASK}
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16)
    for name, tensor in graph.constant.items():
        if tensor.data_type in floats and not _greatest(numpy_helper.to_array(tensor)) < _MASK:
            huge.add(name)
    return [
        node.name for node in graph.nodes if huge & {*node.input, *node.output} and not graph.weights(node)
    ]


def _greatest(values: Any) -> float:
    return float(np.abs(np.asarray(values)).max(initial=0.0))


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


def _histograms(
    proto: onnx.ModelProto, largest: Mapping[str, float], data: CalibrationData, batch: int
) -> dict[str, Histogram]:
    """Counts of |value| in `BINS` equal bins from 0 to each tensor's largest."""
    from ..onnx_graph.session import observed

    counts = {name: np.zeros(BINS, np.int64) for name in largest}
    feeds = math.ceil(len(next(iter(data.values()))) / batch)
    for index, values in enumerate(observed(proto, largest, data, batch)):
        for name, value in values.items():
            check_finite(name, value)
            counts[name] += counted(value, largest[name], feeds, index)
    return counts
