"""All stages of one candidate for a device that is not there: its costs are estimated from its structure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

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
from .stages import AbsentStages


class Estimates(Protocol):
    """What a model would cost on the device."""

    def of(self, candidate: Candidate, compiled: Entry) -> Mapping[str, Quantity]:
        """Estimates by metric of an artifact that was compiled for a candidate.

        Raises:
            UnsupportedError: the structure has something that no estimate is known for.
        """


class AbsentChain(Chain):
    """Models and profile together. Nothing is asked of artifacts but what the estimates tell."""

    measures = False

    def __init__(
        self,
        models: Models,
        device: AbsentStages,
        checkpoint: Callable[[], None] = lambda: None,
        estimates: Estimates | None = None,
    ) -> None:
        super().__init__(models, device, checkpoint)
        self.estimates = estimates

    def structure(self, candidate: Candidate) -> Path:
        """The candidate's float model as ONNX, with untrained weights: what it costs depends on no weight."""
        entry = self.models.exported(
            candidate.hardware_class(),
            _reads_onnx(),
            self.device.deployment.batch,
            trained=False,
            note=_ignored,
        )
        return entry.file(entry.meta["file"])

    def measured(
        self,
        candidate: Candidate,
        compiled: Entry,
        trace: Trace,
        *,
        reference_ms: float | None = None,
        probe: bool = False,
        setting: Setting | None = None,
    ) -> Hardware:
        """What an artifact would cost on the device, by estimate; its size is that of the artifact."""
        assert self.estimates is not None
        found = self.estimates.of(candidate, compiled)
        return Hardware(metrics={**found, **sizes(compiled.meta)})

    def untuned_latency(self, candidate: Candidate, reference_ms: float | None) -> Quantity:
        """InternalError."""
        raise InternalError("what has to be tuned is not offered for a device that is only estimated")


def _reads_onnx() -> Backend:
    """Any backend that compiles from ONNX."""
    return next(get_backend(name) for name in backend_names() if get_backend(name).source_format == ONNX)


def _ignored(entry: Entry) -> None:
    pass
