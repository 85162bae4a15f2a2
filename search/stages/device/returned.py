"""What an artifact returned, checked against its float model before anything is computed from it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ....profiles.errors import StageError
from ...workload.outputs import Layout, OutputChoice
from ...workload.workload import Array


def returned(
    outputs: Mapping[str, Array], choice: OutputChoice, rows: int, stage: str, *, finite: bool = True
) -> dict[str, Array]:
    """The outputs of an artifact for so many samples by the names of the float model, in its order. Those
    that are meant have as many rows as were sent, the float model's shape and kind of numbers (their width
    may differ: a quantized model may give float16), and, with `finite`, no NaN and no infinity.

    Raises:
        StageError: they have not.
    """
    found = choice.by_name(outputs)
    for name in dict.fromkeys((choice.primary, *choice.scored)):
        _check(found[name], name, choice.layout.get(name), rows, stage)
        if finite and not np.isfinite(found[name]).all():
            bad = int((~np.isfinite(found[name]).reshape(rows, -1).all(axis=1)).sum())
            cause = (
                f"the artifact's output {name!r} is not finite (NaN or infinity) for {bad} of {rows} samples"
            )
            raise StageError(stage, cause, disagrees=True)
    return found


def _check(array: Array, name: str, wanted: Layout | None, rows: int, stage: str) -> None:
    if array.ndim == 0 or len(array) != rows:
        held = "no row" if array.ndim == 0 else f"{len(array)} rows"
        raise StageError(stage, f"the artifact's output {name!r} has {held} for {rows} samples")
    got = Layout.of(array)
    if wanted is not None and got != wanted:
        raise StageError(
            stage, f"the artifact's output {name!r} holds {got} for a sample, the float model's {wanted}"
        )
