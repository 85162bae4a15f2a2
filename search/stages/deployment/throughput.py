"""How many requests a second an artifact serves within the limits on latency: predicted, or shown in runs.

`throughput_per_s` is the largest load, requests coming at random times, at which the response times keep to
every limit of the study on a latency that is a number of its own (`latency_p99 <= 40 ms`); time in the queue
is in them. Where there is no such limit it is the rate back to back. A limit relative to the teacher compares
latencies of idle devices, and says nothing of a load.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from ....backends.load.queueing import ResponseBound
from ....backends.measure.samples import LatencyPlan, Rounds
from ....backends.measure.watched import watched
from ....backends.runner.client import RunnerClient
from ....backends.runner.loads import under_load
from ....profiles.errors import StageError
from ...record.deployed import Deployed
from ...record.evaluation import Quantity
from ...record.limits import LimitSpec
from ...record.load import LoadCurve, NoClaim
from ..device.stages import DeviceStages
from ..device.watching import Watching
from .further import Subject, Told
from .load_search import LoadSearch, Sought
from .predicted_load import REQUESTS, predicted_load, services_of

THROUGHPUT, STAGE = "throughput_per_s", "load"
PERCENTILES: Mapping[str, float] = {"latency_ms": 0.5, "latency_p90_ms": 0.9, "latency_p99_ms": 0.99}
_VERSION, _SEED = 1, 7
_SHARE_OF_TIME = 0.25
"""Of the time that is left, that one finalist may be under load."""
CORRECTED = ", corrected by what runs under load took"
_LOAD = TypeAdapter(LoadCurve)


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What response times must keep to, and as what limits; the loads that limits on the throughput name."""

    bounds: tuple[ResponseBound, ...] = ()
    texts: tuple[str, ...] = ()
    named: tuple[float, ...] = ()

    @classmethod
    def of(cls, limits: Iterable[LimitSpec]) -> Conditions:
        """Those that the limits of a study state."""
        told = [(s, s.bound) for s in limits if s.bound is not None]
        held = [(s, bound) for s, bound in told if s.upper and s.metric in PERCENTILES]
        # The highest percentile comes first: it decides, nearly always.
        held.sort(key=lambda pair: -PERCENTILES[pair[0].metric])
        return cls(
            bounds=tuple(ResponseBound(share=PERCENTILES[s.metric], most_ms=bound) for s, bound in held),
            texts=tuple(s.text for s, _ in held),
            named=tuple(bound for s, bound in told if s.metric == THROUGHPUT and not s.upper and bound > 0),
        )


class ThroughputQuestion:
    """While searching the answer is predicted from the rounds of the latency, and costs no time on the
    device. Finalists are put under load for `seconds` each (0: predicted as well), but for no more than a
    part of what `seconds_left` tells; `checkpoint` may raise between runs."""

    metrics = frozenset({THROUGHPUT})

    def __init__(
        self,
        conditions: Conditions,
        seconds: float,
        seconds_left: Callable[[], float],
        checkpoint: Callable[[], None] = lambda: None,
    ) -> None:
        self.conditions, self.seconds = conditions, seconds
        self._left, self._checkpoint = seconds_left, checkpoint

    def told(self, subject: Subject, device: DeviceStages) -> Told:
        """The throughput; of finalists also what they did under load."""
        latency = subject.known.get("latency_ms")
        services = services_of(subject.rounds, subject.name, latency)
        batch = (subject.setting or device.deployment.usual).batch
        predicted = predicted_load(services, latency, self.conditions.bounds, batch)
        predicted = replace(predicted, how=self._how(len(subject.rounds.order)))
        if not subject.thorough or not self.seconds:
            return Told(metrics={THROUGHPUT: predicted})
        sought = Sought(
            bounds=self.conditions.bounds,
            seconds=min(self.seconds, _SHARE_OF_TIME * self._left()),
            path=services.path(np.random.default_rng(_SEED), REQUESTS, batch),
            predicted=predicted,
            named=self.conditions.named,
        )
        return self._under_load(sought, subject, device)

    def _how(self, rounds: int) -> str:
        if not self.conditions.texts:
            return (
                f"derived from {rounds} rounds: requests served back to back, as no limit on latency is set"
            )
        return (
            f"the service times of {rounds} rounds followed through a queue of requests at random times: the "
            f"largest load that keeps to {' and '.join(self.conditions.texts)}"
        )

    def _under_load(self, sought: Sought, subject: Subject, device: DeviceStages) -> Told:
        if LoadSearch(sought, _no_run).hopeless:
            found = LoadSearch(sought, _no_run).nothing_run()
            return self._told(found, ())
        asked = partial(self._asked, sought)
        parts = {"limits": list(self.conditions.texts), "seconds": round(sought.seconds), "seed": _SEED}
        entry = device.apart.asked(
            STAGE, _VERSION, subject.compiled, subject.backend, parts, asked, subject.setting
        )
        try:
            found = _LOAD.validate_python(entry.meta["load"])
        except ValidationError as error:
            raise StageError("measure", f"what was kept of a load cannot be read: {error.title}") from error
        return self._told(replace(found, predicted=sought.predicted), (entry,))

    def _told(self, found: LoadCurve, entries: tuple[Any, ...]) -> Told:
        found = replace(found, limits=self.conditions.texts)
        for bound in self.conditions.bounds[:1]:
            found = replace(found, share=bound.share, most_ms=bound.most_ms)
        quantity = throughput_of(found)
        return Told(metrics={THROUGHPUT: quantity}, deployed=Deployed(load=found), entries=entries)

    def _asked(self, sought: Sought, runner: RunnerClient) -> Mapping[str, Any]:
        """Put what is open in a runner under load."""
        run_s = float(sought.path.runs_ms.max()) / 1e3
        limit_s = sought.seconds + 2 * run_s
        number = 0

        def run(rate: float, requests: int, skip: int) -> Any:
            nonlocal number
            self._checkpoint()
            number += 1
            return under_load(runner, rate, requests, limit_s, seed=_SEED + number, skip=skip, run_s=run_s)

        looks = Watching(lambda: [runner], tuple)
        before = looks(True)
        found = LoadSearch(sought, run).found()
        seen = tuple(enumerate(filter(None, (before, looks(True)))))
        rounds = Rounds(plan=LatencyPlan(), series={}, order=(), watched=seen)
        found = replace(found, watched=watched(rounds))
        return {"load": _LOAD.dump_python(found, mode="json")}


def throughput_of(found: LoadCurve) -> Quantity:
    """What counts as the throughput: what was claimed, unless far more was predicted than the time sufficed
    to show; else what was predicted, as far as no run has shown less."""
    predicted = found.predicted or Quantity(value=0.0)
    claimed, refuted = found.claimed, found.refuted_per_s
    if claimed is not None and found.tells:
        said = f"requests at random times, the largest load at which {' and '.join(found.limits)} surely held"
        return replace(claimed, how=said if found.limits else "requests served back to back")
    if found.no_claim is NoClaim.NEVER:
        how = f"in runs, {refuted:.3g} requests a second were too many for {' and '.join(found.limits)}"
        return Quantity(value=0.0, low=0.0, high=max(0.0, min(refuted, predicted.high or inf)), how=how)
    expected = min(predicted.value, found.expected_per_s or inf, refuted)
    if expected >= predicted.ends[0]:
        return predicted
    low = claimed.value if claimed is not None else 0.0
    high = min(predicted.high or predicted.value, refuted)
    value = min(max(expected, low), max(low, high))
    return replace(predicted, value=value, low=low, high=max(value, high), how=predicted.how + CORRECTED)


def _no_run(rate: float, requests: int, skip: int) -> Any:
    raise StageError("measure", "nothing is run where no load can be shown in time")
