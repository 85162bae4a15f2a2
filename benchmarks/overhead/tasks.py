"""Two made-up searches of real size, and studies of any length in them, told as a real study tells them."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.study import Study
from optuna.trial import FixedTrial, FrozenTrial
from paretune.profiles.precision import Precision
from paretune.search.gate.gate import Gate
from paretune.search.ranking.pareto import hypervolume
from paretune.search.record.candidate import Candidate, Recipe, Sparsity
from paretune.search.record.evaluation import Evaluation, Limit, Objective, TrialRecord
from paretune.search.record.protocols import NeededTrainings, Standard
from paretune.search.record.quality import QualityScale
from paretune.search.run.search import Search, hardware_first
from paretune.search.sampler.knowledge import SearchProblem
from paretune.search.space.space import BackendChoices, Space
from paretune.search.storage.study_store import StudyStore

from benchmarks.replay.evaluator import Lookup, Noise, RecordedTraining, Row, SimulatedClock, TableEvaluator
from benchmarks.replay.table import HIGHER, Problem, space_of

QUALITY, LATENCY, SIZE = "accuracy", "latency_ms", "size_bytes"
UP = {QUALITY: True, LATENCY: False, SIZE: False}
MARGIN = 0.01
"""Of the gate, as studies have it."""
QUALITY_NOISE, LATENCY_NOISE = 0.004, 0.02
TRAIN_SECONDS, MEASURE_SECONDS = 600.0, 1.0
AXES, CHOICES = 6, 5
"""Of the table: as many architectures as NAS-Bench-201 has."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A search: its space, objectives, limit, the worst quality of use, and what is true of a candidate."""

    name: str
    space: Space
    objectives: tuple[Objective, ...]
    limit: Limit
    reference: Mapping[str, float]
    row: Lookup

    def evaluator(self) -> TableEvaluator:
        """Nothing trained or measured yet; the limit is known."""
        noise = Noise(deviations={LATENCY: LATENCY_NOISE})
        return TableEvaluator(self.row, SimulatedClock(), quality=QUALITY, noise=noise)

    def gate(self) -> Gate:
        """Our gate, knowing nothing but the limit."""
        gate = Gate(self.objectives, QualityScale.of(QUALITY), margin=MARGIN)
        gate.judge_by((self.limit,))
        return gate

    def ours(self, gate: Gate, needed: NeededTrainings, seed: int) -> Search:
        """Our search."""
        problem = SearchProblem(
            space=self.space,
            objectives=self.objectives,
            scale=QualityScale.of(QUALITY),
            reference=self.reference,
        )
        return hardware_first(problem, gate, needed, seed)

    def settled(self, search: Search) -> Search:
        """The search, knowing the limit."""
        search.settle(Standard(limits=(self.limit,)))
        return search

    def studies(self, sampler: BaseSampler) -> StudyStore:
        """An empty study in memory."""
        directions = ["maximize" if o.higher_is_better else "minimize" for o in self.objectives]
        study = optuna.create_study(directions=directions, sampler=sampler)
        return StudyStore(study, tuple(o.metric for o in self.objectives))


@dataclass(kw_only=True)
class History:
    """A study that was told: its trials, what our judge and evaluator know after them, and the candidates."""

    task: Task
    evaluator: TableEvaluator
    gate: Gate
    trials: list[FrozenTrial] = field(default_factory=list)
    known: dict[str, TrialRecord] = field(default_factory=dict)
    evaluations: list[Evaluation] = field(default_factory=list)


class _Given(BaseSampler):
    """Proposes the parameters that it was given, so that any candidate is asked for at once."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.distributions: dict[str, BaseDistribution] = {}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.distributions

    def sample_relative(self, study: Study, trial: FrozenTrial, search_space: Any) -> dict[str, Any]:
        return self.params

    def sample_independent(self, study: Study, trial: FrozenTrial, name: str, distribution: Any) -> Any:
        raise KeyError(name)


def told(task: Task, count: int, seed: int) -> History:
    """A study of `count` trials: the simple choices, then candidates at random, each once. Every one went
    through evaluator, gate and `StudyStore.tell` as in a real study."""
    history = History(task=task, evaluator=task.evaluator(), gate=task.gate())
    given = _Given()
    search = task.settled(Search(given, history.gate))
    studies = task.studies(given)
    for candidate, baseline in _candidates(task.space, count, seed):
        given.params = task.space.params(candidate)
        asked = FixedTrial(given.params)
        task.space.suggest(asked)
        given.distributions = asked.distributions
        trial = studies.study.ask()
        if baseline:
            trial.set_user_attr("baseline", True)
        if task.space.suggest(trial) != candidate:
            raise AssertionError(f"asked for {candidate.title} and got another candidate")
        evaluation = history.evaluator.evaluate(candidate, search, baseline=baseline)
        record = studies.tell(trial, evaluation, time.time())
        search.learn(record)
        history.known[candidate.digest] = record
        history.evaluations.append(evaluation)
    history.trials = studies.study.get_trials(deepcopy=False)
    return history


def _candidates(space: Space, count: int, seed: int) -> list[tuple[Candidate, bool]]:
    simple = space.baselines()
    others = [candidate for candidate in space.candidates() if candidate not in set(simple)]
    random.Random(seed).shuffle(others)
    wanted = [*((c, True) for c in simple), *((c, False) for c in others)]
    if len(wanted) < count:
        raise ValueError(f"the space has {len(wanted)} candidates, {count} trials were asked for")
    return wanted[:count]


def _noise(candidate: Candidate) -> float:
    return random.Random(candidate.digest).gauss(0.0, QUALITY_NOISE)


# -- a deployment: students, sparsity, recipe, precision, calibration, two backends; three objectives ------

_COST = {
    "fp32": 1.0,
    "fp16": 0.7,
    "int8": 0.35,
    "int8-dynamic": 0.5,
    "int16x8": 0.6,
    "int4-weight": 0.45,
}
_LOSS = {
    "fp32": 0.0,
    "fp16": 0.0005,
    "int8": 0.006,
    "int8-dynamic": 0.009,
    "int16x8": 0.002,
    "int4-weight": 0.02,
}
_WIDEST, _DEEPEST = 2.0, 5


def deployment() -> Task:
    """Nearly 20,000 candidates of 725 models on two backends: accuracy, latency and size."""
    sparsities = ("dense", "channel:0.25", "channel:0.5")
    ort = BackendChoices(
        name="ort",
        precisions=(Precision.FP32, Precision.FP16, Precision.INT8, Precision.INT8_DYNAMIC),
        calibration_methods=("minmax", "percentile", "entropy"),
        sparsities=sparsities,
    )
    tflite = BackendChoices(
        name="tflite",
        precisions=(Precision.FP32, Precision.FP16, Precision.INT8, Precision.INT16X8),
        calibration_methods=("minmax",),
        sparsities=sparsities,
    )
    space = Space(
        backends=(ort, tflite),
        student_axes={
            "width": (0.25, 0.5, 0.75, 1.0, 1.25),
            "depth": (1, 2, 3, 4),
            "kernel": (3, 5, 7),
            "block": ("plain", "residual"),
        },
        temperatures=(4.0,),
        weights=(0.3, 0.7),
        calibration_samples=(64, 256),
        per_channel=(True, False),
        recipe=Recipe(epochs=20, finetune_epochs=8),
    )
    latencies = [
        _deployed(c, 0.0).hardware[LATENCY] for c in itertools.islice(space.candidates(), 0, None, 7)
    ]
    best = 0.97
    return Task(
        name="deployment",
        space=space,
        objectives=tuple(Objective(metric=name, higher_is_better=up) for name, up in UP.items()),
        limit=_limit(median(latencies)),
        reference={QUALITY: best - 0.2},
        row=lambda candidate: _deployed(candidate, _noise(candidate)),
    )


def _deployed(candidate: Candidate, noise: float) -> Row:
    axes = dict(candidate.student) or {
        "width": _WIDEST,
        "depth": _DEEPEST,
        "kernel": 7,
        "block": "residual",
    }
    width, depth, kernel = float(axes["width"]), int(axes["depth"]), int(axes["kernel"])
    kept = 1.0 - Sparsity.parse(candidate.sparsity).share
    parameters = 2e5 * width**2 * depth * (kernel / 3) ** 1.5 * kept
    macs = 60.0 * parameters
    precision = str(candidate.precision)
    per_mac = 4e-8 * _COST[precision] * (1.2 if candidate.backend == "tflite" else 1.0)
    latency = 0.05 + 0.02 * depth + per_mac * macs * (1.1 if axes["block"] == "residual" else 1.0)
    size = 2000 + parameters * candidate.precision.decoded.weight_bits / 8
    hardware = {LATENCY: latency, SIZE: size, "macs": macs, "parameters": parameters}
    lost = 0.25 * math.exp(-0.55 * math.log(1 + parameters / 2e4)) + _loss(candidate, axes["block"])
    quality = min(0.995, max(0.1, 0.97 - lost + noise))
    return Row(
        quality=quality,
        quality_low=quality - 0.006,
        quality_high=quality + 0.006,
        hardware=hardware,
        trainings=_trainings(candidate, macs),
        compile_seconds=0.5,
        score_seconds=0.3,
        measure_seconds=MEASURE_SECONDS,
    )


def _loss(candidate: Candidate, block: Any) -> float:
    lost = _LOSS[str(candidate.precision)] * (1.0 if candidate.per_channel else 1.8)
    if candidate.calibration_method == "minmax":
        lost += 0.004 * 64 / candidate.calibration_samples
    if block == "plain":
        lost += 0.01
    return lost + 0.03 * Sparsity.parse(candidate.sparsity).share ** 2


def _trainings(candidate: Candidate, macs: float) -> tuple[RecordedTraining, ...]:
    recipe = candidate.recipe
    if recipe is None:
        return ()
    kept = 1.0 - Sparsity.parse(candidate.sparsity).share
    student = f"{candidate.student} {recipe.temperature} {recipe.distill_weight}"
    dense = RecordedTraining(
        key=f"distill {student}", kind="distill", seconds=60 + 5e-6 * macs / kept, work=2e4 * macs / kept
    )
    if kept == 1.0:
        return (dense,)
    pruned = RecordedTraining(
        key=f"prune {student} {candidate.sparsity}", kind="prune", seconds=30 + 2e-6 * macs, work=8e3 * macs
    )
    return (dense, pruned) if candidate.student else (pruned,)


# -- a table of architectures as in search_replay.py: one backend, one precision, two objectives -----------


def architectures() -> Task:
    """15,625 architectures of six equal axes: accuracy and latency."""
    rng = random.Random(0)
    axes = {f"edge{number}": tuple(f"op{choice}" for choice in range(CHOICES)) for number in range(AXES)}
    gain = [[rng.random() for _ in range(CHOICES)] for _ in range(AXES)]
    cost = [[rng.random() for _ in range(CHOICES)] for _ in range(AXES)]
    points = {}
    for codes in itertools.product(range(CHOICES), repeat=AXES):
        good = sum(gain[axis][code] for axis, code in enumerate(codes)) / AXES
        slow = sum(cost[axis][code] for axis, code in enumerate(codes)) / AXES
        accuracy = 0.94 - 0.4 * (1 - good) ** 3 * (1.3 - slow) + rng.gauss(0.0, QUALITY_NOISE)
        student = tuple((name, axes[name][code]) for name, code in zip(axes, codes, strict=True))
        points[student] = (accuracy, 1.0 + 5.0 * slow)
    limit_ms = median(latency for _, latency in points.values())
    reference = (max(accuracy for accuracy, _ in points.values()) - 0.2, limit_ms)
    problem = Problem(
        axes=axes,
        points=points,
        limit_ms=limit_ms,
        reference=reference,
        volume=hypervolume(list(points.values()), reference, HIGHER),
        teacher=max(points, key=lambda student: points[student][1]),
    )
    objectives = tuple(Objective(metric=name, higher_is_better=UP[name]) for name in (QUALITY, LATENCY))
    return Task(
        name="architectures",
        space=space_of(problem),
        objectives=objectives,
        limit=_limit(limit_ms),
        reference={QUALITY: reference[0]},
        row=lambda candidate: problem.row(candidate, TRAIN_SECONDS, MEASURE_SECONDS),
    )


def _limit(bound: float) -> Limit:
    return Limit(text=f"latency <= {bound:.4g} ms", metric=LATENCY, upper=True, bound=bound)


TASKS: dict[str, Callable[[], Task]] = {"deployment": deployment, "architectures": architectures}
