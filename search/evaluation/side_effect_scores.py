"""Side effects of an artifact: it and the reference run over the same samples."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from ..record.evaluation import Quantity
from ..record.metrics import metric_info
from ..record.setting import Setting
from ..stages.chain import head_of
from ..stages.device.kept_outputs import primary_outputs
from ..store.store import Entry
from ..workload.workload import Array
from .side_effects import check_possible, possible, side_effects

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
    first: int = 0,
    setting: Setting | None = None,
) -> dict[str, Quantity]:
    """Side effects of an artifact against the device's reference, the uncompressed teacher, on a split or
    its `first` samples (0: all); the reference is run as the study runs all.

    Without `wanted` all that have a meaning here. With it exactly those, which are what limits name. Every
    run is answered from the store where it can be.

    Raises:
        UserError: one of `wanted` has no meaning for this workload.
        StageError: a run crashed.
    """
    reference, reference_backend = device.reference
    samples, digest = head_of(*models.split(split), first)

    def outputs(entry: Entry, name: str, how: Setting | None = None) -> Array:
        scored = device.scored(entry, name, samples, digest, models.metric, models.outputs, how)
        return primary_outputs(scored)

    teacher = outputs(reference, reference_backend)
    names = possible(models.task)
    if wanted is not None:
        check_possible(wanted, models.task)
        names = tuple(name for name in names if name in wanted)
    if compiled.key == reference.key:
        return {name: _of_itself(name) for name in names}
    found = side_effects(outputs(compiled, backend, setting), teacher, samples.labels, models.task)
    return {name: quantity for name, quantity in found.items() if name in names}


def _of_itself(name: str) -> Quantity:
    value = 1.0 if metric_info(name).higher_is_better else 0.0
    return Quantity(value=value, low=value, high=value, how="the teacher against itself")
