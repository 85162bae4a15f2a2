"""Resizing: PyTorch's own where it computes the same, else a product with a matrix for each axis."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from onnx import TensorProto, helper
from torch import Tensor
from torch.nn import functional as F

from .constants import evaluated
from .operators import Node, operator

_OWN = {"linear": {3: "linear", 4: "bilinear"}, "nearest": {3: "nearest", 4: "nearest", 5: "nearest"}}


@operator("Resize", static=(1, 2, 3))
def _resize(node: Node, x: Tensor, roi: Any, scales: Any = None, sizes: Any = None) -> Tensor:
    if node.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        raise node.refused("it crops (tf_crop_and_resize)")
    matrices = {
        axis: matrix
        for axis, matrix in enumerate(_matrices(node, x.shape, scales, sizes))
        if matrix is not None
    }
    own = _by_itself(node, x, matrices)
    if own is not None:
        return own
    for axis, matrix in matrices.items():
        if node.get("mode", "nearest") == "nearest":
            x = torch.index_select(x, axis, torch.tensor(matrix.argmax(axis=1)))
            continue
        x = torch.tensordot(x, torch.tensor(matrix), dims=([axis], [1])).movedim(-1, axis)
    return x


def _matrices(node: Node, shape: Any, scales: Any, sizes: Any) -> list[Any]:
    """For each axis the matrix that resizes it, by ONNX's own definition; None where nothing is resized."""
    axes = node.get("axes") or range(len(shape))
    found: list[Any] = [None] * len(shape)
    given = scales if scales is not None and len(scales) else sizes
    for axis, factor in zip(axes, given, strict=True):
        size = shape[axis]
        by_scale = given is scales
        if (float(factor) == 1.0) if by_scale else (int(factor) == size):
            continue
        if not by_scale and node.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise node.refused("it keeps the aspect ratio")
        found[axis] = _matrix(node, size, factor, by_scale=by_scale)
    return found


def _matrix(node: Node, size: int, factor: Any, *, by_scale: bool) -> np.ndarray[Any, Any]:
    """The unit vectors, resized."""
    kept = ("mode", "coordinate_transformation_mode", "nearest_mode", "cubic_coeff_a", "exclude_outside",
            "extrapolation_value", "antialias")  # fmt: skip
    attributes = {name: node.get(name) for name in kept if node.get(name) is not None}
    names = ["x", "", "factor"] if by_scale else ["x", "", "", "factor"]
    one = helper.make_node("Resize", names, ["y"], **attributes)
    factors = np.array([1, factor], np.float32) if by_scale else np.array([size, factor], np.int64)
    proto = helper.make_model(
        helper.make_graph([one], "g", [], [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]),
        opset_imports=[helper.make_opsetid("", 18)],
    )
    (y,) = evaluated(proto, {"x": np.eye(size, dtype=np.float32), "factor": factors})
    return np.ascontiguousarray(y.T, np.float32)


def _by_itself(node: Node, x: Tensor, matrices: dict[int, Any]) -> Tensor | None:
    """PyTorch's own resizing, where its matrices are these."""
    mode = _OWN.get(node.get("mode", "nearest"), {}).get(x.ndim)
    if mode is None or not matrices or min(matrices) < 2:
        return None
    size = [matrices[axis].shape[0] if axis in matrices else x.shape[axis] for axis in range(2, x.ndim)]
    for corners in (False, True) if mode != "nearest" else (None,):
        if all(_same(matrix, mode, corners) for matrix in matrices.values()):
            return F.interpolate(x, size=size, mode=mode, align_corners=corners)
    return None


def _same(matrix: Any, mode: str, corners: bool | None) -> bool:
    """Whether PyTorch's resizing of one axis has this matrix."""
    new, old = matrix.shape
    places = np.arange(new, dtype=np.float64)
    if mode == "nearest":
        if new % old:  # what LiteRT makes of PyTorch's is right for whole factors alone
            return False
        wanted = np.eye(old)[np.minimum(np.floor(places * old / new).astype(int), old - 1)]
        return bool(np.allclose(matrix, wanted, atol=1e-5))
    exact = places * (old - 1) / max(1, new - 1) if corners else (places + 0.5) * old / new - 0.5
    exact = np.clip(exact, 0, old - 1)
    low = np.floor(exact).astype(int)
    high, part = np.minimum(low + 1, old - 1), (exact - low)[:, None]
    return bool(np.allclose(matrix, (1 - part) * np.eye(old)[low] + part * np.eye(old)[high], atol=1e-5))


@operator("GridSample")
def _grid_sample(node: Node, x: Tensor, grid: Tensor) -> Tensor:
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(node.get("mode", "linear"), node.get("mode"))
    return F.grid_sample(
        x,
        grid,
        mode=mode or "bilinear",
        padding_mode=node.get("padding_mode", "zeros"),
        align_corners=bool(node.get("align_corners", 0)),
    )
