"""Side effects of an artifact: it and the reference run over the same samples."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ...profiles.errors import UserError
from ..record.evaluation import Quantity
from ..stages.device.kept_outputs import primary_outputs
from ..store.store import Entry
from ..workload.workload import Array
from .side_effects import AGREEMENT, possible, side_effects, task_of

if TYPE_CHECKING:
    from ..stages.device.stages import DeviceStages
    from ..stages.models.base import Models


def side_effect_metrics(
    models: Models,
    device: DeviceStages,
    compiled: Entry,
    backend: str,
    split: str,
    wanted: Collection[str] | None = None,
) -> dict[str, Quantity]:
    """Side effects of an artifact against the device's reference, the uncompressed teacher, on a split.

    Without `wanted` all that have a meaning here. With it exactly those, which are what limits name. Every
    run is answered from the store where it can be.

    Raises:
        UserError: one of `wanted` has no meaning for this workload.
        StageError: a run crashed.
    """
    reference, reference_backend = device.reference
    samples, digest = models.split(split)

    def outputs(entry: Entry, name: str) -> Array:
        scored = device.scored(entry, name, samples, digest, models.metric, models.outputs)
        return primary_outputs(scored)

    teacher = outputs(reference, reference_backend)
    names = possible(task_of(teacher, samples.labels))
    if wanted is not None:
        _check_possible(wanted, names)
        names = tuple(name for name in names if name in wanted)
    if compiled.key == reference.key:
        return {name: _of_itself(name) for name in names}
    found = side_effects(outputs(compiled, backend), teacher, samples.labels)
    return {name: quantity for name, quantity in found.items() if name in names}


def _check_possible(wanted: Collection[str], names: Collection[str]) -> None:
    for name in sorted(set(wanted) - set(names)):
        raise UserError(
            f"a limit is on {name}, which has no meaning for this workload",
            place="constraints",
            found="outputs and labels that are no classification",
            accepted=", ".join(names) or "limits on other metrics",
        )


def _of_itself(name: str) -> Quantity:
    value = 1.0 if name == AGREEMENT else 0.0
    return Quantity(value=value, low=value, high=value, how="the teacher against itself")
