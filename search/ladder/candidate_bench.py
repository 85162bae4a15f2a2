"""A real candidate on which rungs try treatments: models, store and device behind `rung.Bench`."""

from __future__ import annotations

import time
from dataclasses import replace
from math import nan

from ...backends.contract.agreement import sqnr_db
from ...backends.contract.backend import LayerGroup, SourceModel
from ...backends.registry import get_backend
from ...profiles.errors import StageError, UnsupportedError
from ...profiles.precision import Precision
from ..record.candidate import Candidate
from ..record.evaluation import Quantity
from ..record.protocols import Judge
from ..record.quality import QualityScale
from ..record.treatment import QatPlan, Treatment
from ..stages.chain import Trace, Workshop, outputs_of, sizes
from ..store.store import Entry
from ..workload.workload import Array
from .protocols import Cost, Scored, StageSeconds

VALIDATION = "validation"
FLOAT_FORMATS = (Precision.FP32, Precision.FP16)


class CandidateBench:
    """See `rung.Bench`. What is tried for the candidate goes into `trace`; its model in float formats is not
    the candidate, so what that takes does not.

    The candidate's artifact was compiled, scored and measured: `trace` tells how long the stages take, and
    `metrics` what was found. Artifacts are compared with the float model, but for that of the treatment
    `broken`, which is known to disagree with it.
    """

    def __init__(
        self,
        workshop: Workshop,
        candidate: Candidate,
        scale: QualityScale,
        judge: Judge,
        trace: Trace,
        metrics: dict[str, Quantity],
        broken: Treatment | None = None,
    ) -> None:
        self.workshop, self.candidate, self.scale = workshop, candidate, scale
        self._judge, self._trace, self._metrics = judge, trace, metrics
        self._broken = broken
        self._backend = get_backend(candidate.backend)
        self.methods = self._backend.calibration_methods
        models = workshop.models
        self.total = len(models.split("calibration")[0])
        self.validation = len(models.split(VALIDATION)[0])
        self.seconds = self._stage_seconds()
        self._groups: tuple[LayerGroup, ...] | None = None
        self._wanted: Array | None = None
        self._asked = False

    def now(self) -> float:
        """The wall clock."""
        return time.monotonic()

    def score(self, treatment: Treatment, first: int = 0) -> Scored:
        """See the protocol."""
        self.workshop.checkpoint()
        compiled = self._compiled(treatment)
        self.workshop.checkpoint()
        entry = self.workshop.scored(self.candidate, compiled, self._trace, split=VALIDATION, first=first)
        outputs = outputs_of(entry)
        return Scored(quality=entry.meta["value"], sqnr_db=self._sqnr(outputs))

    def cost(self, treatment: Treatment) -> Cost:
        """See the protocol."""
        self.workshop.checkpoint()
        return self._cost(self.candidate, self._compiled(treatment), self._trace)

    def float_costs(self) -> dict[str, Cost]:
        """See the protocol."""
        found = {}
        for precision in FLOAT_FORMATS:
            twin = self._in(precision)
            try:
                compiled = self.workshop.compiled(twin, Trace())
                found[str(precision)] = self._cost(twin, compiled, Trace())
            except (StageError, UnsupportedError):
                continue  # the backend has no such format for this model
        return found

    def worth(self, cost: Cost, quality: float) -> bool:
        """See the protocol; what a short measurement does not tell is taken to be as it was."""
        scaled = cost.latency_ms / self._metrics["latency_ms"].value
        metrics = {
            name: _times(quantity, scaled) if name.startswith("latency") else quantity
            for name, quantity in self._metrics.items()
        }
        metrics["size_bytes"] = Quantity(value=cost.size_bytes)
        return self._judge.worth_climbing(self.candidate, metrics, quality)

    def groups(self) -> tuple[LayerGroup, ...]:
        """See the protocol. Read from the exported model, once."""
        if self._groups is None:
            source = self.workshop.source(self.candidate, Trace())
            model = SourceModel(path=source.path / source.meta["file"], format=source.meta["format"])
            self._groups = tuple(self._backend.layers(model, self.candidate.precision))
        return self._groups

    def qat_plan(self, epochs: int) -> QatPlan | None:
        """See the protocol."""
        return self.workshop.models.qat_plan(self.candidate, epochs)

    def simulated(self, plan: QatPlan) -> float:
        """See the protocol."""
        return self.workshop.models.simulated(self.candidate, plan)

    def _stage_seconds(self) -> StageSeconds:
        made = self._trace.made
        return StageSeconds(
            compile=made["compile"],
            score=made["score"],
            measure=made["measure"],
            epoch=self.workshop.models.epoch_seconds(self.candidate),
        )

    def _compiled(self, treatment: Treatment) -> Entry:
        checked = treatment != self._broken
        return self.workshop.compiled(self.candidate, self._trace, treatment=treatment, checked=checked)

    def _cost(self, candidate: Candidate, compiled: Entry, trace: Trace) -> Cost:
        measured, _ = self.workshop.measured(candidate, compiled, trace, probe=True)
        size = sizes(compiled.meta)["size_bytes"].value
        return Cost(latency_ms=measured["latency_ms"].value, size_bytes=size)

    def _sqnr(self, outputs: Array) -> float:
        wanted = self._float_outputs()
        return sqnr_db(wanted[: len(outputs)], outputs) if wanted is not None else nan

    def _float_outputs(self) -> Array | None:
        """Outputs of the same weights in fp32 for all of validation; None where that cannot be run."""
        if not self._asked:
            self._asked, twin = True, self._in(Precision.FP32)
            try:
                compiled = self.workshop.compiled(twin, Trace())
                scored = self.workshop.scored(twin, compiled, Trace(), split=VALIDATION)
                self._wanted = outputs_of(scored)
            except (StageError, UnsupportedError):
                self._wanted = None
        return self._wanted

    def _in(self, precision: Precision) -> Candidate:
        return replace(self.candidate, precision=precision)


def _times(quantity: Quantity, factor: float) -> Quantity:
    low, high = quantity.low, quantity.high
    return replace(
        quantity,
        value=quantity.value * factor,
        low=None if low is None else low * factor,
        high=None if high is None else high * factor,
    )
