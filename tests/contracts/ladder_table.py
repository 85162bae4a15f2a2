"""A candidate whose treatments are looked up in a table, with a clock that only tries move."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from paretune.backends.contract.backend import LayerGroup
from paretune.profiles.precision import Precision
from paretune.search.ladder.protocols import Cost, Scored, StageSeconds, Standing
from paretune.search.record.candidate import Candidate
from paretune.search.record.quality import QualityScale
from paretune.search.record.treatment import UNTREATED, QatPlan, Treatment

ACCURACY = QualityScale(metric="accuracy", higher_is_better=True, is_share=True)
INT8 = Candidate(
    backend="ort", precision=Precision.INT8, calibration_method="minmax", calibration_samples=128
)
INT4 = Candidate(backend="tflite", precision=Precision.INT4_WEIGHT)
GROUPS = tuple(LayerGroup(name=f"layer{i}", layers=(f"layer{i}",), weights=10 * (i + 1)) for i in range(12))
FOUR = GROUPS[:4]
SECONDS = StageSeconds(compile=1.0, score=1.0, measure=1.0, epoch=6.0)


@dataclass
class TableBench:
    """See `protocols.Bench`. `quality` and `noise` map a treatment to quality and power of the output noise.

    Every try advances the clock by what `seconds` says of it and is written down in `tries`; the first one
    of a QAT plan also takes `qat_seconds`.
    """

    quality: Callable[[Treatment], float]
    candidate: Candidate = INT8
    noise: Callable[[Treatment], float] = lambda treatment: 0.01
    latency: Callable[[Treatment], float] = lambda treatment: 1.0 + 0.1 * len(treatment.keep_float)
    latency_noise: float = 0.0
    size: Callable[[Treatment], float] = lambda treatment: 100e3 + 10e3 * len(treatment.keep_float)
    scale: QualityScale = ACCURACY
    seconds: StageSeconds = SECONDS
    methods: tuple[str, ...] = ("minmax", "percentile", "entropy")
    total: int = 1000
    validation: int = 500
    layer_groups: tuple[LayerGroup, ...] = ()
    floats: dict[str, Cost] = field(default_factory=dict)
    qat: bool = False
    qat_seconds: float = 20.0
    dominated: bool = False
    clock: float = 0.0
    tries: list[Treatment] = field(default_factory=list)
    trained: set[QatPlan] = field(default_factory=set)

    def now(self) -> float:
        return self.clock

    def score(self, treatment: Treatment, first: int = 0) -> Scored:
        self.clock += self.seconds.compile + self.seconds.score
        if treatment.qat and treatment.qat not in self.trained:
            self.clock += self.qat_seconds
            self.trained.add(treatment.qat)
        if not first:
            self.tries.append(treatment)
        return Scored(quality=self.quality(treatment), sqnr_db=-10 * math.log10(self.noise(treatment)))

    def cost(self, treatment: Treatment) -> Cost:
        self.clock += self.seconds.measure
        return Cost(
            latency_ms=self.latency(treatment),
            size_bytes=self.size(treatment),
            latency_noise_ms=self.latency_noise,
        )

    def float_costs(self) -> dict[str, Cost]:
        return self.floats

    def worth(self, cost: Cost, quality: float) -> bool:
        return not self.dominated

    def groups(self) -> tuple[LayerGroup, ...]:
        return self.layer_groups

    def qat_plan(self, epochs: int) -> QatPlan | None:
        return QatPlan(weight_bits=4, activation_bits=0, epochs=epochs) if self.qat else None

    def simulated(self, plan: QatPlan) -> float:
        assert plan in self.trained
        return self.quality(Treatment(qat=plan)) + 0.001


def at(bench: TableBench, best: float = 0.99, target: float = 0.985, seconds: float = 120.0) -> Standing:
    """The untreated candidate, at the foot of the ladder."""
    scored = replace(bench, tries=[]).score(UNTREATED)
    return Standing(
        treatment=UNTREATED, scored=scored, best=best, target=target, deadline=bench.now() + seconds
    )
