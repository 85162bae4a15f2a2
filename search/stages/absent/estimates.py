"""Estimates of artifacts from their structure, the profile, and what was measured there or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ....backends.estimate.costs import ModelCost
from ....backends.estimate.count import cost_of
from ....backends.estimate.energy import energy
from ....backends.estimate.latency import Configuration, LatencyEstimator, Observed
from ....backends.estimate.memory import ObservedMemory, memories
from ....backends.estimate.rests import NORMAL_REACH
from ....backends.estimate.situation import Situation
from ....profiles.devices.schema import Profile
from ....profiles.precision import Precision
from ...record.candidate import Candidate
from ...record.estimated import Brought
from ...record.evaluation import Quantity
from ...record.samples import SampleResults, of_cases

LATENCY, MEMORY, ENERGY = "latency_ms", "memory_bytes", "energy_mj"
CASES = 200
"""So many are enough to tell in which nine of ten one is faster than another."""
KNOWN = frozenset({"size_bytes", "compressed_bytes", "parameters", "macs"})
"""Metrics of the device that need none."""
TIMED_WITHIN = 0.1
"""What another timing by hand may differ by, as a share: one process, on a board that nobody watched."""

Seen = tuple[Candidate, Profile, int, Mapping[str, float]]
"""What was measured of a candidate somewhere: with so many threads, by metric."""


@dataclass
class DeviceEstimates:
    """Of one device, as it would be deployed. `structure` makes a candidate's model as ONNX. `brought` was
    timed on the device by hand, `recorded` has been measured by studies on any device. `backends` are those
    of the study.
    """

    profile: Profile
    threads: int
    batch: int
    structure: Callable[[Candidate], Path]
    brought: Sequence[Brought] = ()
    recorded: Sequence[Seen] = ()
    backends: Sequence[str] = ()
    _costs: dict[str, ModelCost] = field(default_factory=dict)
    _estimator: LatencyEstimator | None = None

    def of(self, candidate: Candidate, in_float: float = 0.0) -> dict[str, Quantity]:
        """Estimates by metric of an artifact of a candidate, that has a share of its layers `in_float`; what
        there is no ground for is left out.

        Raises:
            UnsupportedError: the structure has something that no estimate is known for.
        """
        wanted = self.configuration(candidate)
        latency = self.estimator.latencies([wanted])[0]
        found = {
            LATENCY: self._timed(candidate, LATENCY, latency),
            MEMORY: memories([wanted], self._memories(wanted.situation.runtime))[0],
        }
        timed = found[LATENCY]
        assert timed is not None
        found[ENERGY] = energy(timed, self.profile, self._watts())
        for name in (MEMORY, ENERGY):
            found[name] = self._timed(candidate, name, found[name])
        told = {name: quantity for name, quantity in found.items() if quantity is not None}
        if in_float and not self._told(candidate, LATENCY):
            return self._mixed(candidate, told, in_float)
        return {**told, LATENCY: replace(timed, by_sample=self._cases(candidate, wanted, timed))}

    def _mixed(self, candidate: Candidate, told: dict[str, Quantity], share: float) -> dict[str, Quantity]:
        """Between the whole at the candidate's precision and the whole in float."""
        whole = self.of(replace(candidate, precision=Precision.FP32))
        found = {}
        for name, one in told.items():
            other = whole.get(name, one)
            ends = (*one.ends, *other.ends)
            value = one.value ** (1 - share) * other.value**share
            how = f"{one.how}; {100 * share:.0f} % of the layers are in float"
            found[name] = replace(one, value=value, low=min(ends), high=max(ends), how=how)
        return found

    def _cases(self, candidate: Candidate, wanted: Configuration, estimate: Quantity) -> SampleResults:
        """What the latency may come to, in cases that all estimates of the device share: what is not known of
        it is alike for all of them."""
        plain = candidate.hardware_class()
        random = np.random.default_rng(int(plain.digest, 16))
        # Asked with all runtimes of the study, so that each estimate is of the same cases.
        anchors = [replace(wanted, situation=self._situation(b)) for b in self.backends]
        own = random.standard_normal((len(anchors) + 1, CASES))
        source = f"{self.profile.name} {self.threads} {len(self.brought)} {len(self.recorded)}"
        if self._told(candidate, LATENCY):
            spread = np.log1p(TIMED_WITHIN) / NORMAL_REACH
            return of_cases(source, estimate.value * np.exp(spread * own[-1]))
        return of_cases(source, self.estimator.cases([*anchors, wanted], own)[-1])

    def to_measure(self, candidates: Sequence[Candidate]) -> list[int]:
        """Places of the few candidates whose timings would tell most of all, each structure once."""
        classes = {one.hardware_class(): place for place, one in reversed(list(enumerate(candidates)))}
        places = sorted(classes.values())
        chosen = self.estimator.to_measure([self.configuration(candidates[place]) for place in places])
        return [places[number] for number in chosen]

    @property
    def estimator(self) -> LatencyEstimator:
        """Made once, from all that is known."""
        if self._estimator is None:
            seen = [self._observed(one, LATENCY) for one in self._all()]
            self._estimator = LatencyEstimator(Observed(of=of, latency_ms=v) for of, v in filter(None, seen))
        return self._estimator

    def cost(self, candidate: Candidate) -> ModelCost:
        """What a candidate's structure costs at its precision."""
        plain = candidate.hardware_class()
        if plain.digest not in self._costs:
            self._costs[plain.digest] = cost_of(self.structure(plain), plain.precision, self.batch)
        return self._costs[plain.digest]

    def configuration(self, candidate: Candidate) -> Configuration:
        """A candidate on the device."""
        return self._configuration(candidate, self.profile, self.threads)

    def _configuration(self, candidate: Candidate, profile: Profile, threads: int) -> Configuration:
        there = situation_of(profile, candidate.backend, threads)
        return Configuration(cost=self.cost(candidate), situation=there)

    def _situation(self, backend: str) -> Situation:
        return situation_of(self.profile, backend, self.threads)

    def _all(self) -> Iterable[Seen]:
        for one in self.brought:
            yield one.candidate, self.profile, self.threads, one.metrics
        yield from self.recorded

    def _observed(self, seen: Seen, metric: str) -> tuple[Configuration, float] | None:
        candidate, profile, threads, metrics = seen
        if metric not in metrics:
            return None
        return self._configuration(candidate, profile, threads), metrics[metric]

    def _memories(self, runtime: str) -> list[ObservedMemory]:
        seen = [self._observed(one, MEMORY) for one in self._all() if one[0].backend == runtime]
        return [ObservedMemory(of=of, memory_bytes=value) for of, value in filter(None, seen)]

    def _watts(self) -> list[float]:
        """Millijoules by milliseconds, as they were seen on this very device."""
        own = [one[3] for one in self._all() if one[1].name == self.profile.name]
        return [one[ENERGY] / one[LATENCY] for one in own if {ENERGY, LATENCY} <= one.keys()]

    def _timed(self, candidate: Candidate, metric: str, estimate: Quantity | None) -> Quantity | None:
        """The estimate; where artifacts of this structure were measured on the device, what that has told."""
        found = self._told(candidate, metric)
        told = [one.metrics[metric] for one in found]
        if not told:
            return estimate
        within = f"taken as right within {100 * TIMED_WITHIN:.0f} %"
        return replace(
            estimate or Quantity(value=0.0, provenance="estimated"),
            value=sum(told) / len(told),
            low=min(told) * (1 - TIMED_WITHIN),
            high=max(told) * (1 + TIMED_WITHIN),
            how=f"taken by hand on the device ({found[0].source}), {within}",
        )

    def _told(self, candidate: Candidate, metric: str) -> list[Brought]:
        """What was taken by hand of artifacts of a candidate's structure."""
        plain = candidate.hardware_class()
        alike = (one for one in self.brought if one.candidate.hardware_class() == plain)
        return [one for one in alike if metric in one.metrics]


def situation_of(profile: Profile, backend: str, threads: int) -> Situation:
    """A runtime on a device's processor, or on its GPU where the profile has no processor."""
    return Situation(profile, backend, threads, "cpu" if profile.cpu else "any")
