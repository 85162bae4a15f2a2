"""Simple strategies over a recorded space: a sampler of Optuna's, used as an engineer might."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.trial import TrialState
from paretune.search.record.candidate import Candidate

from benchmarks.exhaustive.account import GOAL, MOST_TRIALS, Account
from benchmarks.exhaustive.table import HIGHER, Point, Recorded

IN_A_ROW = 8
"""After so many proposals of what is known, something unknown is drawn at random, as the driver does."""


@dataclass(frozen=True, kw_only=True)
class Simple:
    """A sampler of Optuna's, used in one of the ways that an engineer might.

    `remember`: trainings and evaluations are paid for once. `variants`: once something is trained, every
    precision, calibration and backend is tried with it. `tell_all`: the sampler is told all of these, else
    only the one that it asked for.
    """

    sampler: Callable[[int], BaseSampler]
    remember: bool = False
    variants: bool = False
    tell_all: bool = False


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


def tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed)


SIMPLE = {
    "random": Simple(sampler=_random),
    "tpe": Simple(sampler=tpe),
    "random+memory": Simple(sampler=_random, remember=True),
    "tpe+memory": Simple(sampler=tpe, remember=True),
    "random+memory+variants": Simple(sampler=_random, remember=True, variants=True),
    "tpe+memory+variants": Simple(sampler=tpe, remember=True, variants=True),
    "tpe+memory+variants-told": Simple(sampler=tpe, remember=True, variants=True, tell_all=True),
}


class SimpleSearch:
    """One search by a simple strategy."""

    def __init__(self, table: Recorded, way: Simple, seed: int) -> None:
        self.table, self.way, self.space = table, way, table.space
        self.account = Account(table, seed, remember=way.remember)
        self.study = optuna.create_study(
            directions=["maximize" if up else "minimize" for up in HIGHER], sampler=way.sampler(seed)
        )
        self.rng = random.Random(seed)
        self.trials = 0
        self._by_model: dict[tuple[object, str], list[Candidate]] = {}
        for candidate in self.space.candidates():
            self._by_model.setdefault((candidate.student, candidate.sparsity), []).append(candidate)

    def run(self) -> None:
        """Search until the goal is reached, everything is known, or the trials are used up."""
        for candidate in self.space.baselines():
            self._one(candidate)
        in_a_row = 0
        while self.account.holdings.share < GOAL and self.trials < MOST_TRIALS:
            forced = self._unknown() if in_a_row >= IN_A_ROW else None
            if in_a_row >= IN_A_ROW and forced is None:
                return
            in_a_row = 0 if self._one(forced) else in_a_row + 1

    def _one(self, wanted: Candidate | None) -> bool:
        """One trial, of the sampler's choice where `wanted` is None; False where it was known already."""
        if wanted is not None:
            self.study.enqueue_trial(self.space.params(wanted))
        trial = self.study.ask()
        candidate = self.space.suggest(trial)
        new = not self.account.known(candidate)
        self.trials += 1
        self._tell(trial, self.account.evaluate(candidate))
        if new and self.way.variants and not candidate.is_teacher:
            self._variants(candidate)
        return new

    def _variants(self, candidate: Candidate) -> None:
        """Evaluate whatever else needs no more training now."""
        for sparsity in dict.fromkeys(("dense", candidate.sparsity)):
            for other in self._by_model[candidate.student, sparsity]:
                if other.is_teacher or self.account.known(other):
                    continue
                found = self.account.evaluate(other)
                if self.way.tell_all:
                    self.study.enqueue_trial(self.space.params(other))
                    trial = self.study.ask()
                    self.space.suggest(trial)
                    self._tell(trial, found)

    def _tell(self, trial: optuna.Trial, found: Point | None) -> None:
        if found is None:
            self.study.tell(trial, state=TrialState.FAIL)
        else:
            self.study.tell(trial, list(found))

    def _unknown(self) -> Candidate | None:
        left = [c for c in self.space.candidates() if not self.account.known(c)]
        return self.rng.choice(left) if left else None
