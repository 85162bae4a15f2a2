"""Ranges of activations for LiteRT's static quantizer, by each calibration method.

Least and greatest values come from ai-edge-quantizer's own observer. Percentile and entropy clip them where a
histogram of magnitudes says, as they do for the other runtimes (see `calibration/ranges.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..calibration.ranges import BINS, Histogram, check_finite, counted, kept_bins
from ..contract.backend import Feed

SIGNATURE = "serving_default"


def activation_ranges(
    content: bytes, recipe: list[dict[str, Any]], feeds: Sequence[Feed], method: str
) -> Any:
    """ai-edge-quantizer's ranges of every activation on `feeds`, for "minmax", "percentile" or "entropy"."""
    extremes = _extremes(content, recipe, feeds)
    if method == "minmax":
        return _scalars(extremes)
    largest = {
        name: max(-float(found["min"].min()), float(found["max"].max()), 0.0)
        for name, found in extremes.items()
    }
    for name, histogram in _histograms(content, largest, feeds).items():
        cut = np.float32(largest[name] * kept_bins(histogram, method) / BINS)
        found = extremes[name]
        extremes[name] = {"min": np.maximum(found["min"], -cut), "max": np.minimum(found["max"], cut)}
    return _scalars(extremes)


def _scalars(extremes: Mapping[str, Any]) -> dict[str, Any]:
    """One number for each activation: the quantizer can give no range of one element to a constant."""
    return {
        name: {end: value.reshape(()) if np.size(value) == 1 else value for end, value in found.items()}
        for name, found in extremes.items()
    }


def _extremes(content: bytes, recipe: list[dict[str, Any]], feeds: Sequence[Feed]) -> dict[str, Any]:
    from ai_edge_quantizer import calibrator, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(recipe)
    tool = calibrator.Calibrator(
        content,
        num_threads=1,
        mode=calibrator.CalibrationMode.CALIBRATION_PROFILER_BASED,
        qsv_update_func=qsv_utils.min_max_update,
    )
    tool.calibrate({SIGNATURE: feeds}, manager)
    found: dict[str, Any] = tool.get_model_qsvs()
    return found


def _histograms(content: bytes, largest: Mapping[str, float], feeds: Sequence[Feed]) -> dict[str, Histogram]:
    """Counts of |value| in `BINS` equal bins from 0 to each activation's largest, of those that are float."""
    from ai_edge_litert import interpreter

    tool = interpreter.Interpreter(
        model_content=content,
        num_threads=1,
        # Delegated operators leave what is between them nowhere to be read.
        experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    tool.allocate_tensors()
    inputs = tool._get_full_signature_list()[SIGNATURE]["inputs"]
    watched = {
        details["name"]: details["index"]
        for details in tool.get_tensor_details()
        if details["dtype"] == np.float32
        # Padding before a maximum is minus infinity: there is nothing to count up to.
        and np.isfinite(largest.get(details["name"], np.inf))
    }
    counts = {name: np.zeros(BINS, np.int64) for name in watched}
    for turn, feed in enumerate(feeds):
        for name, value in feed.items():
            tool.set_tensor(inputs[name], value)
        tool.invoke()
        for name, index in watched.items():
            value = tool.get_tensor(index)
            check_finite(name, value)
            counts[name] += counted(value, largest[name], len(feeds), turn)
    return counts
