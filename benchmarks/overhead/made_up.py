"""Two made-up searches of real size, and studies of any length in them, told as a real study tells them."""

from __future__ import annotations

import itertools
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from optuna.trial import FrozenTrial
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe, Sparsity
from paretune.search.record.limits import LimitSpec, resolve
from paretune.search.record.protocols import Standard
from paretune.search.record.training import DISTILL, NeededTraining, needed
from paretune.search.space.space import BackendChoices, Space

from benchmarks.replay.table import problem_of
from benchmarks.simulation.evaluator import Noise, TableEvaluator
from benchmarks.simulation.recorded import LATENCY, OBJECTIVES, SIZE, Recorded, RecordedTraining, Row
from benchmarks.simulation.search import at_random, behind_gate, studies_in_memory

QUALITY_NOISE, LATENCY_NOISE = 0.004, 0.02
AXES, CHOICES = 6, 5
"""Of the table: as many architectures as NAS-Bench-201 has."""


@dataclass(frozen=True, kw_only=True)
class History:
    """A study that was told: its trials, and what the evaluator has trained and measured after them."""

    table: Recorded
    evaluator: TableEvaluator
    trials: list[FrozenTrial]


def told(table: Recorded, count: int, seed: int) -> History:
    """A study of `count` trials: the simple choices, then candidates at random, each once. Every one went
    through evaluator, gate and `StudyStore.tell` as in a real study."""
    evaluator = TableEvaluator(table.row, noise=Noise(deviation=LATENCY_NOISE))
    search = behind_gate(at_random)(seed, table, evaluator)
    search.settle(Standard(limits=tuple(resolve(limit, {}) for limit in table.limits)))
    studies = studies_in_memory(table.objectives, search.sampler)
    simple = table.space.baselines()
    others = [candidate for candidate in table.space.candidates() if candidate not in simple]
    random.Random(seed).shuffle(others)
    if count > len(simple) + len(others):
        raise ValueError(f"the space has {table.space.size} candidates, {count} trials were asked for")
    for candidate in [*simple, *others][:count]:
        baseline = candidate in simple
        studies.enqueue(table.space.params(candidate), baseline=baseline)
        trial, asked = studies.ask(table.space.suggest)
        evaluation = evaluator.evaluate(asked, search, baseline=baseline)
        search.learn(studies.tell(trial, evaluation, time.time()))
    return History(table=table, evaluator=evaluator, trials=studies.study.get_trials(deepcopy=False))


# -- a deployment: students, sparsity, recipe, precision, calibration, two backends; three objectives ------

_COST = {"fp32": 1.0, "fp16": 0.7, "int8": 0.35, "int8-dynamic": 0.5, "int16x8": 0.6}
_LOSS = {"fp32": 0.0, "fp16": 0.0005, "int8": 0.006, "int8-dynamic": 0.009, "int16x8": 0.002}
_LARGEST = {"width": 2.0, "depth": 5, "kernel": 7, "block": "residual"}


def deployment() -> Recorded:
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
    some = itertools.islice(space.candidates(), 0, None, 7)
    bound = median(_deployed(candidate, 0.0).hardware[LATENCY] for candidate in some)
    return Recorded(
        space=space,
        row=lambda candidate: _deployed(candidate, random.Random(candidate.digest).gauss(0.0, QUALITY_NOISE)),
        objectives=OBJECTIVES,
        reference=(0.77, bound, math.inf),
        volume=1.0,  # nobody asks for a share of its front
        limits=(LimitSpec(text=f"latency <= {bound:.4g} ms", metric=LATENCY, upper=True, bound=bound),),
    )


def _deployed(candidate: Candidate, noise: float) -> Row:
    axes = dict(candidate.student) or _LARGEST
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
        trainings=tuple(_training(t, macs / kept if t.kind == DISTILL else macs) for t in needed(candidate)),
        compile_seconds=0.5,
        score_seconds=0.3,
        measure_seconds=1.0,
    )


def _loss(candidate: Candidate, block: Any) -> float:
    lost = _LOSS[str(candidate.precision)] * (1.0 if candidate.per_channel else 1.8)
    if candidate.calibration_method == "minmax":
        lost += 0.004 * 64 / candidate.calibration_samples
    if block == "plain":
        lost += 0.01
    return lost + 0.03 * Sparsity.parse(candidate.sparsity).share ** 2


def _training(training: NeededTraining, macs: float) -> RecordedTraining:
    """It takes what the model that it trains does; fine-tuning after pruning takes less."""
    share = 1.0 if training.kind == DISTILL else 0.4
    seconds, work = share * (60 + 5e-6 * macs), share * 2e4 * macs
    return RecordedTraining(key=repr(training), kind=training.kind, seconds=seconds, work=work)


# -- a table of architectures: one backend, one precision, two objectives ----------------------------------


def architectures() -> Recorded:
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
    return problem_of(axes, points, median(latency for _, latency in points.values()))


TABLES: dict[str, Callable[[], Recorded]] = {"deployment": deployment, "architectures": architectures}
