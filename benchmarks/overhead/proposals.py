"""Seconds per proposal of each sampler in studies that were told so many trials."""

from __future__ import annotations

import gc
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import mean, median, quantiles
from typing import Any

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial
from paretune.search.record.candidate import Candidate
from paretune.search.run.search import Search
from paretune.search.run.setup import make_sampler

from benchmarks.overhead.tasks import History, Task, told

OURS = "hardware-first"
SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: TPESampler(seed=seed),
    "tpe as in study files": lambda seed: make_sampler("tpe", seed),
    "nsga2": lambda seed: make_sampler("nsga2", seed),
    "random": lambda seed: make_sampler("random", seed),
    "gp": lambda seed: GPSampler(seed=seed, warn_independent_sampling=False),
}
NAMES = (OURS, *SAMPLERS)
LARGEST = {"gp": 1000}
"""Trials up to which a sampler is asked. A Gaussian process of all takes time with their third power."""
PATIENCE_SECONDS = 240.0
"""A sampler that has proposed for so long at one size is asked no more."""


@dataclass(kw_only=True)
class Rounds:
    """What one sampler took: `resume`, the first proposal after the study was opened, and those after it."""

    resume: list[float] = field(default_factory=list)
    propose: list[float] = field(default_factory=list)
    tell: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    """Of the process, for the same proposals: what other work on the machine hardly touches."""


class Bench:
    """One sampler in a study with the trials of a history in it, asked and told as the driver does it."""

    def __init__(self, name: str, history: History, seed: int) -> None:
        self.name, self.task, self.known = name, history.task, dict(history.known)
        ours = name == OURS
        # What ours learns from is the state of its own study; the others only need their trials answered.
        self.evaluator = history.evaluator if ours else history.task.evaluator()
        search = (
            history.task.ours(history.gate, history.evaluator, seed) if ours else Search(SAMPLERS[name](seed))
        )
        self.search, sampler = history.task.settled(search), search.sampler
        self.studies = self.task.studies(sampler)
        if isinstance(sampler, NSGAIISampler):
            _add_generations(self.studies.study, history.trials, sampler)
        else:
            self.studies.study.add_trials(history.trials)
        self.tell_seconds = self.cpu_seconds = self._proposing = 0.0

    def round(self) -> tuple[float, float]:
        """One more trial: seconds until its candidate is known, and seconds to tell its evaluation."""
        self.tell_seconds = self.cpu_seconds = self._proposing = 0.0
        self._measure_first()
        with self._timed():
            trial = self.studies.study.ask()
            candidate = self.task.space.suggest(trial)
        self._answer(trial, candidate)
        return self._proposing, self.tell_seconds

    @contextmanager
    def _timed(self) -> Iterator[None]:
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        self._proposing += time.perf_counter() - wall
        self.cpu_seconds += time.process_time() - cpu

    def _measure_first(self) -> None:
        """As the driver does it: measure what is wanted; what the gate stops is a trial of its own."""
        while True:
            with self._timed():
                wanted = self.search.wants(self.studies.study, survey=True)
            if wanted is None:
                return
            hardware = self.evaluator.hardware(wanted)
            stopped = hardware.refused or self.search.before_training(wanted, hardware)
            with self._timed():
                self.search.learn_hardware(wanted, hardware, 1.0)
                if stopped:
                    self.studies.enqueue(self.task.space.params(wanted))
                    trial = self.studies.study.ask()
                    candidate = self.task.space.suggest(trial)
            if stopped:
                self._answer(trial, candidate)

    def _answer(self, trial: Any, candidate: Candidate) -> None:
        earlier, now = self.known.get(candidate.digest), time.time()
        evaluation = None if earlier else self.evaluator.evaluate(candidate, self.search)
        started = time.perf_counter()
        if evaluation is None:
            assert earlier is not None
            self.studies.tell_duplicate(trial, earlier, now)
        else:
            self.known[candidate.digest] = record = self.studies.tell(trial, evaluation, now)
        self.tell_seconds += time.perf_counter() - started
        if evaluation is not None:
            self.search.learn(record)


def _add_generations(study: Study, trials: Sequence[FrozenTrial], sampler: NSGAIISampler) -> None:
    """Add trials, each in the generation in which it would have been asked for, with the parents chosen of
    every generation that is full, as they would have been by then."""
    key, size = sampler._get_generation_key(), sampler.population_size
    complete = 0
    for trial in trials:
        study.add_trial(
            create_trial(
                state=trial.state,
                values=trial.values,
                params=trial.params,
                distributions=trial.distributions,
                user_attrs=trial.user_attrs,
                system_attrs={**trial.system_attrs, key: complete // size},
            )
        )
        complete += trial.state is TrialState.COMPLETE
    for generation in range(1, complete // size):
        sampler.get_parent_population(study, generation)


def time_proposals(
    task: Task, sizes: Sequence[int], names: Sequence[str], *, rounds: int, repeats: int
) -> dict[str, dict[str, Any]]:
    """Sampler -> number of trials told -> seconds, see `_summary`. The samplers take turns."""
    found: dict[str, dict[str, Any]] = {name: {} for name in names}
    for size in sizes:
        taken = {name: Rounds() for name in names if size <= LARGEST.get(name, size)}
        for seed in range(repeats):
            history = told(task, size, seed)
            with _quiet():
                _take_turns({name: Bench(name, history, seed) for name in taken}, taken, rounds)
            _say(f"{task.name}: {size} trials, repeat {seed + 1} of {repeats}")
        for name in names:
            found[name][str(size)] = _summary(taken[name]) if name in taken else _left_out(name, size)
    return found


def _take_turns(benches: dict[str, Bench], taken: dict[str, Rounds], rounds: int) -> None:
    for turn in range(1 + rounds):
        for name, bench in benches.items():
            mine = taken[name]
            if turn and sum(mine.resume) + sum(mine.propose) > PATIENCE_SECONDS:
                continue
            proposing, telling = bench.round()
            if turn == 0:
                mine.resume.append(proposing)
            else:
                mine.propose.append(proposing)
                mine.tell.append(telling)
                mine.cpu.append(bench.cpu_seconds)


def _summary(rounds: Rounds) -> dict[str, Any]:
    """Medians and quartiles in seconds; None, with the reason, where there is no round but the first."""
    if not rounds.propose:
        why = f"the first proposal alone took over {PATIENCE_SECONDS:g} s"
        return {"propose_s": None, "why": why, "first_s": median(rounds.resume), "rounds": 0}
    both = [p + t for p, t in zip(rounds.propose, rounds.tell, strict=True)]
    return {
        "propose_s": median(rounds.propose),
        "quartiles_s": quantiles(rounds.propose)[::2] if len(rounds.propose) > 1 else None,
        "cpu_s": median(rounds.cpu) if rounds.cpu else None,
        "mean_s": mean(rounds.propose),
        "tell_s": median(rounds.tell),
        "round_s": median(both),
        "first_s": median(rounds.resume),
        "rounds": len(rounds.propose),
    }


def _left_out(name: str, size: int) -> dict[str, Any]:
    why = f"not asked after {size} trials: fitting takes time with their third power ({name})"
    return {"propose_s": None, "why": why, "first_s": None, "rounds": 0}


def growth(found: dict[str, Any], few: int, many: int) -> float | None:
    """The power of the number of trials with which the time per proposal grows between two sizes."""
    ends = [found.get(str(size)) for size in (few, many)]
    seconds = [end["propose_s"] if end else None for end in ends]
    if seconds[0] is None or seconds[1] is None:
        return None
    return math.log(seconds[1] / seconds[0]) / math.log(many / few)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Optuna's warnings of what it calls experimental, and without a collection in a timed part."""
    gc.collect()
    gc.disable()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gc.enable()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
