"""Simple strategies over a recorded space: a sampler of Optuna's, used as an engineer might."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.samplers import BaseSampler
from optuna.trial import TrialState
from paretune.search.record.candidate import Candidate
from paretune.search.record.protocols import TrainEverything

from benchmarks.simulation.evaluator import Noise, TableEvaluator
from benchmarks.simulation.recorded import Point, Recorded
from benchmarks.simulation.search import Enough, Holdings, at_random, studies_in_memory, tpe

IN_A_ROW = 8
"""After so many proposals of what is known, something unknown is drawn at random, as the driver does."""


@dataclass(frozen=True, kw_only=True)
class Simple:
    """A sampler of Optuna's, used in one of the ways that an engineer might. Nothing is measured untrained.

    `remember`: trainings and evaluations are paid for once. `variants`: once something is trained, every
    precision, calibration and backend is tried with it. `tell_all`: the sampler is told all of these, else
    only the one that it asked for.
    """

    sampler: Callable[[int], BaseSampler]
    remember: bool = False
    variants: bool = False
    tell_all: bool = False


SIMPLE = {
    "random": Simple(sampler=at_random),
    "tpe": Simple(sampler=tpe),
    "random+memory": Simple(sampler=at_random, remember=True),
    "tpe+memory": Simple(sampler=tpe, remember=True),
    "random+memory+variants": Simple(sampler=at_random, remember=True, variants=True),
    "tpe+memory+variants": Simple(sampler=tpe, remember=True, variants=True),
    "tpe+memory+variants-told": Simple(sampler=tpe, remember=True, variants=True, tell_all=True),
}


class SimpleSearch:
    """One search by a simple strategy, until it holds enough or after so many trials."""

    def __init__(self, table: Recorded, way: Simple, seed: int, *, trials: int, enough: Enough) -> None:
        self.table, self.way, self.space = table, way, table.space
        self.enough, self.most = enough, trials
        noise = Noise(spread=table.noise, seed=seed)
        self.evaluator = TableEvaluator(table.row, noise=noise, remember=way.remember, measures_first=False)
        self.holdings = Holdings(table, self.evaluator)
        self.study = studies_in_memory(table.objectives, way.sampler(seed)).study
        self.rng = random.Random(seed)
        self.trials = 0
        self.known: dict[str, Point | None] = {}
        self._by_model: dict[tuple[object, str], list[Candidate]] = {}
        for candidate in self.space.candidates():
            self._by_model.setdefault((candidate.student, candidate.sparsity), []).append(candidate)

    def run(self) -> dict[str, Any]:
        """Search until the goal is reached, everything is known, or the trials are used up."""
        for candidate in self.space.baselines():
            self._one(candidate)
        in_a_row = 0
        while not self.enough(self.holdings) and self.trials < self.most:
            forced = self._unknown() if in_a_row >= IN_A_ROW else None
            if in_a_row >= IN_A_ROW and forced is None:
                break
            in_a_row = 0 if self._one(forced) else in_a_row + 1
        return self.holdings.told(trials=self.trials)

    def _one(self, wanted: Candidate | None) -> bool:
        """One trial, of the sampler's choice where `wanted` is None; False where it was known already."""
        trial, candidate = self._asked(wanted)
        new = candidate.digest not in self.known
        self.trials += 1
        self._tell(trial, self._evaluated(candidate))
        if new and self.way.variants and not candidate.is_teacher:
            self._variants(candidate)
        return new

    def _asked(self, wanted: Candidate | None) -> tuple[optuna.Trial, Candidate]:
        if wanted is not None:
            self.study.enqueue_trial(self.space.params(wanted))
        trial = self.study.ask()
        return trial, self.space.suggest(trial)

    def _variants(self, candidate: Candidate) -> None:
        """Evaluate whatever else needs no more training now."""
        for sparsity in dict.fromkeys(("dense", candidate.sparsity)):
            for other in self._by_model[candidate.student, sparsity]:
                if other.is_teacher or other.digest in self.known:
                    continue
                found = self._evaluated(other)
                if self.way.tell_all:
                    self._tell(self._asked(other)[0], found)

    def _evaluated(self, candidate: Candidate) -> Point | None:
        """Its objectives as measured now; None where it cannot exist."""
        if candidate.digest in self.known:
            return self.known[candidate.digest]
        metrics = self.evaluator.evaluate(candidate, TrainEverything()).metrics
        self.holdings.add(candidate)
        found = tuple(metrics[o.metric].value for o in self.table.objectives) if metrics else None
        if self.way.remember:
            self.known[candidate.digest] = found
        return found

    def _tell(self, trial: optuna.Trial, found: Point | None) -> None:
        if found is None:
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            self.study.tell(trial, list(found))

    def _unknown(self) -> Candidate | None:
        left = [c for c in self.space.candidates() if c.digest not in self.known]
        return self.rng.choice(left) if left else None
