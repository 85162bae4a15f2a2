"""A made study of some sixty trials with every outcome, ties, repeats, finalists and masked combinations."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.candidate import Candidate, Recipe
from paretune.search.evaluation import (
    Evaluation,
    Finalist,
    Limit,
    Masked,
    Objective,
    Outcome,
    Quantity,
    StageRecord,
    StudyRecord,
    TrialRecord,
)
from paretune.search.ranking import rank

SPEED = {"fp32": 1.0, "fp16": 0.95, "int8": 0.42, "int8-dynamic": 0.55, "int16x8": 0.8, "int4-weight": 0.9}
BITS = {"fp32": 32, "fp16": 16, "int8": 8, "int8-dynamic": 8, "int16x8": 8, "int4-weight": 4}
OFFERED = {
    "ort": ("fp32", "fp16", "int8", "int8-dynamic", "int4-weight"),
    "tflite": ("fp32", "fp16", "int8", "int16x8"),
}
LOG = 'Traceback (most recent call last):\n  File "runner.py", line 88\nMemoryError: 512 MiB <b>limit</b>\n'


def quantity(value: float, half: float, how: str, provenance: str = "measured") -> Quantity:
    return Quantity(value=value, low=value - half, high=value + half, how=how, provenance=provenance)


def hardware(candidate: Candidate, rng: random.Random) -> dict[str, Quantity]:
    width = float(dict(candidate.student).get("width", 1.0))
    depth = float(dict(candidate.student).get("depth", 3))
    keep = 1 - (0.3 if candidate.sparsity.startswith("channel") else 0.0)
    macs = 4e6 * (width * keep) ** 2 * depth / 3
    weights = 320e3 * (width * keep) ** 2 * depth / 3
    precision = str(candidate.precision)
    runtime = 1.0 if candidate.backend == "ort" else 0.8
    latency = (0.04 + macs / 4e6 * SPEED[precision] * 0.9) * runtime * rng.uniform(0.97, 1.03)
    size = round(weights * BITS[precision] / 8 + (9e3 if candidate.backend == "ort" else 5e3))
    how = "median over 25 rounds interleaved with the reference"
    return {
        "latency_ms": quantity(latency, latency * 0.015, how),
        "latency_p90_ms": Quantity(value=latency * 1.11, how="1600 samples"),
        "memory_bytes": Quantity(value=3e6 + 4 * size, how="peak resident memory of the runner process"),
        "size_bytes": Quantity(value=size, low=size, high=size, how="size of the artifact's file"),
        "macs": Quantity(value=macs, provenance="estimated", how="counted from the graph"),
    }


def accuracy_of(candidate: Candidate, rng: random.Random) -> float:
    width = float(dict(candidate.student).get("width", 1.0))
    depth = float(dict(candidate.student).get("depth", 3))
    loss = 0.012 + 0.09 * (1 - width) ** 2 + 0.008 * (3 - depth)
    loss += {"int8": 0.003, "int4-weight": 0.02}.get(str(candidate.precision), 0.0)
    loss += 0.004 if candidate.sparsity != "dense" else 0.0
    return round((1 - loss + rng.uniform(-0.002, 0.002)) * 540) / 540


def stages(candidate: Candidate, trained: bool, rng: random.Random) -> tuple[StageRecord, ...]:
    made = [("export", 0.4), ("compile", 0.9), ("measure", 1.2)]
    if trained:
        made = [*made, ("distill", 14.0), ("export", 0.4), ("compile", 0.9), ("score", 0.7)]
    return tuple(
        StageRecord(
            name=name, key=f"{rng.getrandbits(256):064x}", cached=name == "distill" and rng.random() < 0.5,
            seconds=seconds * rng.uniform(0.8, 1.2),
        )
        for name, seconds in made
    )  # fmt: skip


def simple_choices() -> list[Candidate]:
    wanted = [("ort", "fp32"), ("ort", "fp16"), ("ort", "int8"), ("tflite", "fp32"), ("tflite", "int8")]
    return [
        Candidate(
            backend=backend, precision=Precision(precision),
            calibration_method="minmax" if precision == "int8" else "",
            calibration_samples=128 if precision == "int8" else 0,
        )
        for backend, precision in wanted
    ]  # fmt: skip


def proposals(rng: random.Random, count: int) -> list[Candidate]:
    found: dict[str, Candidate] = {}
    while len(found) < count:
        backend = rng.choice(list(OFFERED))
        candidate = Candidate(
            backend=backend,
            precision=Precision(rng.choice(OFFERED[backend])),
            student=(("depth", rng.choice([1, 2, 3])), ("width", rng.choice([0.25, 0.5, 0.75]))),
            sparsity=rng.choice(["dense", "dense", "channel:0.3"]),
            recipe=Recipe(epochs=12),
            calibration_method=rng.choice(["minmax", "percentile"]),
            calibration_samples=128,
        ).canonical()
        found.setdefault(candidate.digest, candidate)
    return list(found.values())


def evaluated(candidate: Candidate, baseline: bool, limits: tuple[Limit, ...], seed: int) -> Evaluation:
    rng = random.Random(seed)
    gate = hardware(candidate, rng)
    if not baseline and candidate.precision is Precision.INT4_WEIGHT and rng.random() < 0.6:
        reason = "ort cannot express 4-bit weights of a convolution"
        return Evaluation(candidate=candidate, outcome=Outcome.REFUSED, reason=reason)
    if not baseline and candidate.precision is Precision.INT16X8 and rng.random() < 0.7:
        return Evaluation(
            candidate=candidate, outcome=Outcome.FAILED, stage="compile", log=LOG,
            cause="out of memory: the limit of 512 MiB was reached", stages=stages(candidate, False, rng)[:1],
        )  # fmt: skip
    missed = {x.text: x.violation(gate[x.metric].value) for x in limits if x.metric in gate}
    if not baseline and any(v > 0 for v in missed.values()):
        text = next(text for text, v in missed.items() if v > 0)
        reason = f"{text}: measured {gate['latency_ms'].value:.3f} ms with untrained weights"
        return Evaluation(
            candidate=candidate, outcome=Outcome.GATED, gate=gate, violations=missed, reason=reason,
            stages=stages(candidate, False, rng),
        )  # fmt: skip
    how = "540 validation samples through the artifact in its own runtime, batch 1"
    metrics = {"accuracy": quantity(accuracy_of(candidate, rng), 0.006, how), **gate}
    violations = {x.text: x.violation(metrics[x.metric].value) for x in limits}
    return Evaluation(
        candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics,
        gate={} if baseline else gate, violations=violations, baseline=baseline,
        stages=stages(candidate, not baseline, rng), artifact_key=f"{rng.getrandbits(256):064x}",
        weight_bytes={"float32": 1000, "int8": 20000}, stability="stable",
    )  # fmt: skip


def near_copy(best: Evaluation) -> Evaluation:
    """The same model with its ranges taken another way: it cannot be told apart from `best`."""
    candidate = replace(best.candidate, calibration_method="percentile").canonical()
    nudged = {k: quantity(q.value * 1.002, q.value * 0.01, q.how) for k, q in best.metrics.items()}
    exact = {k: best.metrics[k] for k in ("size_bytes", "accuracy", "macs")}
    return replace(best, candidate=candidate, metrics={**nudged, **exact})


def finalists_of(record: StudyRecord) -> tuple[Finalist, ...]:
    trials = record.trials
    chosen = [trials[e.number] for e in rank(record).entries if e.feasible and e.on_front]
    chosen += [] if trials[4] in chosen else [trials[4]]
    base = trials[4].evaluation.metrics["latency_ms"].value
    made = []
    for trial in chosen:
        old = trial.evaluation.metrics
        latency = old["latency_ms"].value * 1.01
        ratio = latency / base / 1.01
        fresh = {
            "accuracy": quantity(
                old["accuracy"].value - 0.002, 0.007, "900 test samples through the artifact"
            ),
            "latency_ms": quantity(latency, latency * 0.008, "median over 40 rounds interleaved"),
        }
        paired = quantity(ratio, ratio * 0.01, "per-round latency ratio to trial 4, 40 rounds")
        made.append(
            Finalist(
                number=trial.number, metrics=fresh, ratio_to_baseline=None if trial is trials[4] else paired
            )
        )
    return tuple(made)


def made_study(
    *, name: str = "digits-host", latency_limit: float = 0.42, accuracy_limit: float = 0.95
) -> StudyRecord:
    """The record; limits in milliseconds and as a share."""
    limits = (
        Limit(
            text="accuracy >= teacher - 3 pt absolute", metric="accuracy", upper=False,
            bound=accuracy_limit, bound_on_test=accuracy_limit - 0.003,
        ),
        Limit(text=f"latency <= {latency_limit} ms", metric="latency_ms", upper=True, bound=latency_limit),
    )  # fmt: skip
    rng = random.Random(11)
    candidates = [(c.canonical(), True) for c in simple_choices()]
    candidates += [(c, False) for c in proposals(rng, 53)]
    trials = [
        TrialRecord(
            number=number, evaluation=evaluated(candidate, baseline, limits, number),
            started=1.7e9 + 20 * number, seconds=18.5,
        )
        for number, (candidate, baseline) in enumerate(candidates)
    ]  # fmt: skip
    twin = trials[20]
    for number in (58, 59):
        trials.append(replace(twin, number=number, seconds=0.01, duplicate_of=twin.number))
    best = trials[33].evaluation
    trials[57] = replace(trials[57], evaluation=near_copy(best))
    record = StudyRecord(
        name=name,
        study_text=f"# the study\nname: {name}\nworkload:\n  file: digits.py\nbudget:\n  trials: 60\n",
        workload="digits.py",
        profile="host",
        quality="accuracy",
        objectives=(
            Objective(metric="accuracy", higher_is_better=True, weight=4.0),
            Objective(metric="latency_ms", higher_is_better=False),
            Objective(metric="size_bytes", higher_is_better=False, weight=0.5),
        ),
        limits=limits,
        trials=tuple(trials),
        baseline=4,
        masked=(
            Masked(backend="trt", what="all", reason="needs an NVIDIA GPU; this machine has none"),
            Masked(backend="ort", what="2:4", reason="2:4 sparsity: needs NVIDIA sm_80 or later"),
        ),
        environment={
            "processor": "Example CPU <1>", "cores": 2, "instructions": ["avx2", "fma", "avx512_vnni"],
            "memory_bytes": 8_000_000_000,
            "packages": {"onnxruntime": "1.31.1", "ai-edge-litert": "2.3.0", "torch": "2.13.0"},
        },
        counters={
            "trials": 60, "candidates": 58, "duplicates": 2,
            "trainings": 14, "training_seconds": 196.0,
        },
        teacher={"validation": 0.987, "test": 0.985, "parameters": 320000},
        importances={
            "accuracy": {"student": 0.71, "precision": 0.18, "backend": 0.01, "sparsity": 0.10},
            "latency_ms": {"student": 0.55, "precision": 0.33, "backend": 0.08, "sparsity": 0.04},
        },
        stopped="60 trials were run",
    )  # fmt: skip
    return replace(record, finalists=finalists_of(record))


@pytest.fixture(scope="session")
def study() -> StudyRecord:
    """A study whose limits are met."""
    return made_study()


@pytest.fixture(scope="session")
def impossible() -> StudyRecord:
    """The same search under limits that nothing meets."""
    return replace(
        made_study(accuracy_limit=0.998), name="impossible", finalists=(), baseline=None, importances={}
    )


@pytest.fixture(scope="session")
def make_study() -> object:
    """The maker itself, for other names and limits."""
    return made_study
