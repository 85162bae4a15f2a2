"""Estimates of artifacts from their structure, the profile, and what was measured there or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ....backends.estimate.costs import ModelCost
from ....backends.estimate.count import cost_of
from ....backends.estimate.latency import Configuration, LatencyEstimator, Observed
from ....backends.estimate.situation import Situation
from ....profiles.devices.schema import Profile
from ...record.candidate import Candidate
from ...record.estimated import Brought
from ...record.evaluation import Quantity

LATENCY = "latency_ms"
TOLD = frozenset({LATENCY, "size_bytes", "compressed_bytes", "parameters", "macs"})
"""Metrics of the device that are estimated, or known without it."""
TIMED_WITHIN = 0.1
"""What another timing by hand may differ by, as a share: one process, on a board that nobody watched."""


Latencies = Iterable[tuple[Candidate, float]]


@dataclass
class DeviceEstimates:
    """Of one device, as it would be deployed. `structure` makes a candidate's model as ONNX. `recorded` are
    latencies of candidates that studies have measured, with the profile of the device and the threads."""

    profile: Profile
    threads: int
    batch: int
    structure: Callable[[Candidate], Path]
    brought: Sequence[Brought] = ()
    recorded: Sequence[tuple[Profile, int, Latencies]] = ()
    _costs: dict[str, ModelCost] = field(default_factory=dict)
    _estimator: LatencyEstimator | None = None

    def of(self, candidate: Candidate) -> dict[str, Quantity]:
        """Estimates by metric of an artifact of a candidate.

        Raises:
            UnsupportedError: the structure has something that no estimate is known for.
        """
        estimate = self.estimator.latencies([self.configuration(candidate)])[0]
        return {LATENCY: self._timed(candidate, estimate)}

    @property
    def estimator(self) -> LatencyEstimator:
        """Made once, from all that is known."""
        if self._estimator is None:
            self._estimator = LatencyEstimator([*self._of_brought(), *self._of_recorded()])
        return self._estimator

    def cost(self, candidate: Candidate) -> ModelCost:
        """What a candidate's structure costs at its precision."""
        plain = candidate.hardware_class()
        if plain.digest not in self._costs:
            path = self.structure(plain)
            self._costs[plain.digest] = cost_of(path, plain.precision, self.batch)
        return self._costs[plain.digest]

    def configuration(self, candidate: Candidate) -> Configuration:
        """A candidate on the device."""
        return Configuration(cost=self.cost(candidate), situation=self._situation(candidate))

    def _situation(self, candidate: Candidate) -> Situation:
        return Situation(self.profile, candidate.backend, self.threads, "cpu" if self.profile.cpu else "any")

    def _of_brought(self) -> Iterable[Observed]:
        for one in self.brought:
            if LATENCY in one.metrics:
                yield Observed(of=self.configuration(one.candidate), latency_ms=one.metrics[LATENCY])

    def _of_recorded(self) -> Iterable[Observed]:
        for profile, threads, latencies in self.recorded:
            for candidate, latency in latencies:
                there = Situation(profile, candidate.backend, threads, "cpu" if profile.cpu else "any")
                of = Configuration(cost=self.cost(candidate), situation=there)
                yield Observed(of=of, latency_ms=latency)

    def _timed(self, candidate: Candidate, estimate: Quantity) -> Quantity:
        """The estimate; where artifacts of this structure were timed on the device, what that has told."""
        plain = candidate.hardware_class()
        found = [one for one in self.brought if one.candidate.hardware_class() == plain]
        times = [one.metrics[LATENCY] for one in found if LATENCY in one.metrics]
        if not times:
            return estimate
        value = sum(times) / len(times)
        low, high = min(times) * (1 - TIMED_WITHIN), max(times) * (1 + TIMED_WITHIN)
        within = f"taken as right within {100 * TIMED_WITHIN:.0f} %"
        how = f"timed by hand on the device ({found[0].source}), {within}"
        return replace(estimate, value=value, low=low, high=high, how=how)
