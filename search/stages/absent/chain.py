"""All stages of one candidate for a device that is not there: its costs are estimated from its structure."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ....backends.contract.backend import ONNX, Backend
from ....backends.registry import backend_names, get_backend
from ....profiles.errors import InternalError
from ...record.candidate import Candidate
from ...record.evaluation import Quantity
from ...record.protocols import Hardware
from ...record.setting import Setting
from ...store.store import Entry
from ..chain import Chain, Trace, sizes
from ..models.base import Models
from .estimates import DeviceEstimates
from .stages import AbsentStages


class AbsentChain(Chain):
    """Models and profile together. Nothing is asked of artifacts but what the estimates tell."""

    measures = False

    def __init__(
        self,
        models: Models,
        device: AbsentStages,
        estimates: DeviceEstimates,
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(models, device, checkpoint)
        self.estimates = estimates

    def measured(
        self,
        candidate: Candidate,
        compiled: Entry,
        trace: Trace,
        *,
        reference_ms: float | None = None,
        probe: bool = False,
        leave_open: bool = False,
        setting: Setting | None = None,
    ) -> Hardware:
        """What an artifact would cost on the device, by estimate; its size is that of the artifact."""
        found = self.estimates.of(candidate, in_float=_in_float(candidate, compiled))
        return Hardware(metrics={**found, **sizes(compiled.meta)})

    def untuned_latency(self, candidate: Candidate, reference_ms: float | None) -> Quantity:
        """InternalError."""
        raise InternalError("what has to be tuned is not offered for a device that is only estimated")


def _in_float(candidate: Candidate, compiled: Entry) -> float:
    """The share of the layers that an integer artifact has in float all the same."""
    stored = compiled.meta["artifact"].get("stored_as") or {}
    if not candidate.precision.decoded.integer or not stored:
        return 0.0
    return sum(str(kind).startswith("float") for kind in stored.values()) / len(stored)


def structure_of(models: Models, candidate: Candidate, batch: int) -> Path:
    """A candidate's float model as ONNX, with untrained weights: what it costs depends on no weight."""
    plain = candidate.hardware_class()
    entry = models.exported(plain, _reads_onnx(), batch, trained=False, note=_ignored)
    return entry.file(entry.meta["file"])


def _reads_onnx() -> Backend:
    """Any backend that compiles from ONNX."""
    return next(get_backend(name) for name in backend_names() if get_backend(name).source_format == ONNX)


def _ignored(entry: Entry) -> None:
    pass
