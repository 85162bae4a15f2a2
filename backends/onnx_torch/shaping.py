"""Operators that move elements and compute nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from .operators import Node, operator

Ints = Any  # an array of numpy that holds whole numbers


@operator("Reshape", static=(1,))
def _reshape(node: Node, x: Tensor, shape: Ints) -> Tensor:
    sizes = [int(size) for size in shape]
    if not node.get("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


@operator("Flatten")
def _flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    axis += x.ndim * (axis < 0)
    return x.reshape(int(np.prod(x.shape[:axis])), -1)


@operator("Transpose")
def _transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(node.get("perm", list(range(x.ndim))[::-1]))


@operator("Squeeze", static=(1,))
def _squeeze(node: Node, x: Tensor, axes: Ints = None) -> Tensor:
    found = node.get("axes") if axes is None else axes
    if found is None:
        return x.reshape([size for size in x.shape if size != 1])
    gone = {int(axis) % x.ndim for axis in found}
    return x.reshape([size for axis, size in enumerate(x.shape) if axis not in gone])


@operator("Unsqueeze", static=(1,))
def _unsqueeze(node: Node, x: Tensor, axes: Ints = None) -> Tensor:
    found = node.get("axes") if axes is None else axes
    rank = x.ndim + len(found)
    new = {int(axis) % rank for axis in found}
    old = iter(x.shape)
    return x.reshape([1 if axis in new else next(old) for axis in range(rank)])


@operator("Concat")
def _concat(node: Node, *inputs: Tensor) -> Tensor:
    return torch.cat(inputs, dim=node.get("axis"))


@operator("Split", static=(1,))
def _split(node: Node, x: Tensor, split: Ints = None) -> tuple[Tensor, ...]:
    axis, sizes = node.get("axis", 0), node.get("split") if split is None else split
    if sizes is None:
        parts = node.get("num_outputs", node.outputs)
        size = -(-x.shape[axis] // parts)
        sizes = [min(size, x.shape[axis] - size * i) for i in range(parts)]
    return torch.split(x, [int(size) for size in sizes], dim=axis)


@operator("Slice", static=(1, 2, 3, 4))
def _slice(_: Node, x: Tensor, starts: Ints, ends: Ints, axes: Ints = None, steps: Ints = None) -> Tensor:
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = x.shape[int(axis)]
        places = range(*slice(_bound(start), _bound(end, int(step)), int(step)).indices(size))
        x = _taken(x, int(axis) % x.ndim, np.array(places, np.int64))
    return x


def _bound(value: Any, step: int = 1) -> int | None:
    """ONNX writes "from the very end backwards" as the lowest number."""
    return None if step < 0 and int(value) < -(2**30) else int(value)


def _taken(x: Tensor, axis: int, places: np.ndarray[Any, Any]) -> Tensor:
    """The elements at some places along an axis; a slice where they are in order."""
    if len(places) == x.shape[axis] and np.array_equal(places, np.arange(len(places))):
        return x
    steps = set(np.diff(places).tolist())
    if not len(places) or (len(steps) <= 1 and min(steps, default=1) > 0):
        first, step = (int(places[0]) if len(places) else 0), int(min(steps, default=1))
        last = int(places[-1]) + 1 if len(places) else first
        cut = [slice(None)] * axis + [slice(first, last, step)]
        return x[tuple(cut)]
    if steps == {-1} and len(places) == x.shape[axis]:
        return torch.flip(x, [axis])
    return torch.index_select(x, axis, torch.tensor(places))


@operator("Gather")
def _gather(node: Node, x: Tensor, places: Tensor) -> Tensor:
    axis = node.get("axis", 0) % x.ndim
    flat = places.reshape(-1)
    flat = torch.where(flat < 0, flat + x.shape[axis], flat)
    taken = torch.index_select(x, axis, flat)
    return taken.reshape((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


@operator("GatherKnown", static=(1,))
def _gather_known(node: Node, x: Tensor, places: Ints) -> Tensor:
    """`Gather` at places that are known before the model runs."""
    axis = node.get("axis", 0) % x.ndim
    flat = places.reshape(-1) % x.shape[axis]
    taken = _taken(x, axis, flat)
    return taken.reshape((*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]))


@operator("GatherElements")
def _gather_elements(node: Node, x: Tensor, places: Tensor) -> Tensor:
    axis = node.get("axis", 0)
    return torch.gather(x, axis, torch.where(places < 0, places + x.shape[axis], places))


@operator("GatherND")
def _gather_nd(node: Node, x: Tensor, places: Tensor) -> Tensor:
    form, shared = places.shape[:-1], node.get("batch_dims", 0)
    rows = [
        torch.arange(size).reshape([-1 if axis == other else 1 for other in range(len(form))]).expand(form)
        for axis, size in enumerate(form[:shared])
    ]
    given = zip(places.unbind(-1), x.shape[shared:], strict=False)
    return x[(*rows, *(torch.where(place < 0, place + size, place) for place, size in given))]


@operator("Expand", static=(1,))
def _expand(_: Node, x: Tensor, shape: Ints) -> Tensor:
    sizes = [int(size) for size in shape]
    own = [1] * (len(sizes) - x.ndim) + list(x.shape)
    sizes = [1] * (len(own) - len(sizes)) + sizes
    return x.expand([max(pair) if min(pair) else 0 for pair in zip(own, sizes, strict=True)])


@operator("Tile", static=(1,))
def _tile(_: Node, x: Tensor, repeats: Ints) -> Tensor:
    return x.repeat([int(times) for times in repeats])


@operator("Pad", static=(1, 2, 3))
def _pad(node: Node, x: Tensor, pads: Ints, value: Ints = None, axes: Ints = None) -> Tensor:
    chosen = range(x.ndim) if axes is None else [int(axis) % x.ndim for axis in axes]
    half = len(pads) // 2
    widths = {axis: (int(pads[i]), int(pads[i + half])) for i, axis in enumerate(chosen)}
    mode = node.get("mode", "constant")
    if mode == "constant":
        flat = [width for axis in reversed(range(x.ndim)) for width in widths.get(axis, (0, 0))]
        while flat and flat[-2:] == [0, 0]:
            flat = flat[:-2]
        return F.pad(x, flat, value=0 if value is None else value.item()) if flat else x
    for axis, width in widths.items():
        x = _taken(x, axis, _padded(x.shape[axis], width, mode))
    return x


def _padded(size: int, width: tuple[int, int], mode: str) -> np.ndarray[Any, Any]:
    """Which element stands where along an axis that is padded, or cut by a negative width."""
    before, after = (max(0, one) for one in width)
    places = np.pad(np.arange(size), (before, after), mode=mode)  # type: ignore[call-overload]
    first, last = max(0, -width[0]), len(places) - max(0, -width[1])
    return np.asarray(places[first:last])


@operator("DepthToSpace")
def _depth_to_space(node: Node, x: Tensor) -> Tensor:
    size, (n, c, h, w) = node.get("blocksize"), x.shape
    if node.get("mode", "DCR") == "CRD":
        return F.pixel_shuffle(x, size)
    y = x.reshape(n, size, size, c // size**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return y.reshape(n, c // size**2, h * size, w * size)


@operator("SpaceToDepth")
def _space_to_depth(node: Node, x: Tensor) -> Tensor:
    size, (n, c, h, w) = node.get("blocksize"), x.shape
    order = (0, 1, 3, 5, 2, 4) if node.get("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    y = x.reshape(n, c, h // size, size, w // size, size).permute(order)
    return y.reshape(n, c * size**2, h // size, w // size)


@operator("Trilu", static=(1,))
def _trilu(node: Node, x: Tensor, diagonal: Ints = None) -> Tensor:
    shift = 0 if diagonal is None else int(diagonal)
    return torch.triu(x, shift) if node.get("upper", 1) else torch.tril(x, shift)


@operator("OneHot", static=(1, 2))
def _one_hot(node: Node, x: Tensor, depth: Ints, values: Ints) -> Tensor:
    count, axis = int(np.asarray(depth).reshape(-1)[0]), node.get("axis", -1)
    whole = x.to(torch.int64)
    whole = torch.where(whole < 0, whole + count, whole)
    axis += (x.ndim + 1) * (axis < 0)
    shape = [1] * (x.ndim + 1)
    shape[axis] = count
    hot = whole.unsqueeze(axis) == torch.arange(count).reshape(shape)
    off, on = torch.tensor(values[0]), torch.tensor(values[1])
    return torch.where(hot, on, off)


@operator("CumSum", static=(1,))
def _cum_sum(node: Node, x: Tensor, axis: Ints) -> Tensor:
    if node.get("exclusive", 0):
        raise node.refused("it is exclusive")
    along, back = int(axis), node.get("reverse", 0)
    y = torch.flip(x, [along]) if back else x
    y = torch.cumsum(y, along).to(x.dtype)
    return torch.flip(y, [along]) if back else y


@operator("Stack")
def _stack(_: Node, *rows: Tensor) -> Tensor:
    """What a loop gives round by round."""
    return torch.stack(rows)


@operator("Embedding")
def _embedding(_: Node, places: Tensor, table: Tensor) -> Tensor:
    """`Gather` of the rows of a constant table."""
    return F.embedding(places, table)
