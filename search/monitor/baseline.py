"""What a bundle was exported with, as its monitor.json: what is to be recorded, and what was seen of the same
on the samples that are known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .plan import Array, edges_of, input_plan, output_plan, shapes_of
from .series import CLASSES, TOKENS, TensorSeries
from .tally import QUALITY, Tally

FORMAT = 1
MOST_SAMPLES = 20_000
MOST_TENSORS = 16  # of each side


def plan_text(
    inputs: Mapping[str, Array],
    outputs: Mapping[str, Array],
    targets: Array | None,
    *,
    metric: str,
    primary: str,
    split: str,
    batch: int,
    shapes: Mapping[str, Sequence[int]] | None = None,
) -> str:
    """The plan of a bundle that records its use, with what `inputs` (samples on axis 0), the artifact's own
    `outputs` for them, and `targets` look like. Some of them may have more samples than others. `primary`
    names the output that targets and later labels belong to, `metric` the study's quality metric, `split`
    where the samples are from; `batch` is that which the artifact was compiled and measured with. `shapes`
    has those of the model's inputs and outputs with the batch as axis 0 and -1 for what varies, where they
    are known."""
    shapes, plans, series = shapes or {}, [], []
    known = {"inputs": inputs, "outputs": outputs}
    for side, arrays in known.items():
        for name, array in list(arrays.items())[:MOST_TENSORS]:
            if array.dtype.kind not in "biuf" or not array.ndim or not len(array):
                continue
            some = _some(array)
            shape = shapes_of(shapes, name, some)
            told = None if targets is None or len(targets) != len(array) else _some(targets)
            if side == "inputs":
                plan = input_plan(name, some, shape)
            else:
                plan = output_plan(name, some, shape, metric=metric, targets=told, judged=name == primary)
            plans.append(plan)
            series += _series(plan, some)
    found = {
        "format": FORMAT,
        "split": split,
        "batch": batch,
        "metric": metric,
        "tensors": plans,
        "series": series,
        "quality": _quality(plans, outputs, targets),
    }
    return json.dumps(found, allow_nan=False) + "\n"


def _some(array: Array) -> Array:
    """So many samples, from all over."""
    return array[:: -(-len(array) // MOST_SAMPLES)]


def _taken(tensor: TensorSeries, array: Array) -> list[Array]:
    """By parts that a single call has."""
    return [tensor.taken(array[at : at + 64]) for at in range(0, len(array), 64)]


def _series(plan: Mapping[str, Any], array: Array) -> list[dict[str, Any]]:
    tensor = TensorSeries(plan)
    values = np.concatenate([tensor.values(part) for part in _taken(tensor, array)])
    if plan["kind"] == TOKENS:
        values[:, 0] = _unknown_elsewhere(np.concatenate(_taken(tensor, array)), plan["known"])
    answers = plan["kind"] == CLASSES and len(plan["series"]) == 2 and plan["series"][0].endswith(" answer")
    classes = [plan["classes"] if answers and at == 0 else 0 for at in range(len(plan["series"]))]
    return [
        _one(name, plan, values[:, at], edges_of(values[:, at], classes[at]))
        for at, name in enumerate(plan["series"])
    ]


def _one(name: str, plan: Mapping[str, Any], values: Array, edges: list[float]) -> dict[str, Any]:
    known = np.isfinite(values)
    index = np.where(known, np.searchsorted(edges, values, side="right"), len(edges) + 1)
    some = values[known] if known.any() else np.zeros(1)
    return {
        "name": name,
        "tensor": plan["name"],
        "side": plan["side"],
        "edges": edges,
        "counts": np.bincount(index, minlength=len(edges) + 2).tolist(),
        "mean": float(some.mean()),
        "sd": float(some.std()),
    }


def _unknown_elsewhere(ids: Array, known: Sequence[int]) -> Array:
    """The share of each sample's tokens that no other sample has."""
    samples = np.repeat(np.arange(len(ids)), ids.shape[1])
    pairs = np.unique(np.stack([ids.reshape(-1), samples], axis=1), axis=0)
    tokens, counts = np.unique(pairs[:, 0], return_counts=True)
    shared = np.intersect1d(tokens[counts > 1], np.array(known))
    return np.asarray(1.0 - np.isin(ids, shared).mean(axis=1))


def _quality(
    plans: Sequence[Mapping[str, Any]], outputs: Mapping[str, Array], targets: Array | None
) -> dict[str, Any] | None:
    """How good the answers to the known samples are, by what is later taken of labels."""
    plan = next((plan for plan in plans if plan.get("judge")), None)
    if plan is None or targets is None or len(targets) != len(outputs[plan["name"]]):
        return None
    tensor, tally = TensorSeries(plan), Tally(0, 0)
    answers = np.concatenate([tensor.decided(part) for part in _taken(tensor, outputs[plan["name"]])])
    for answer, target in zip(answers, targets, strict=True):
        found = tensor.scored(answer, target)
        if found is not None:
            tally.judged(*found)
    plain = tally.plain()
    assert len(plain["quality"]) == QUALITY
    return {"judge": plan["judge"], "sums": plain["quality"], "classes": plain["classes"]}
