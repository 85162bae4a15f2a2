"""A made study of some sixty trials with every outcome, ties, repeats, finalists and masked combinations."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.ranking.ranking import rank
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import (
    Audited,
    Bound,
    Evaluation,
    Finalist,
    Limit,
    Masked,
    Objective,
    Outcome,
    Proposal,
    Quantity,
    StageRecord,
    StudyRecord,
    TrialRecord,
)

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
        )
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
    candidate = replace(best.candidate, calibration_method="percentile")
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
    candidates = [(c, True) for c in simple_choices()]
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


SMALL = {(depth, 0.25, sparsity) for depth in (1, 2) for sparsity in ("dense", "channel:0.3")}
SPARSE = (1, 0.5, "channel:0.3")  # given up while it was fine-tuned after pruning
RUNGS = (2, 4, 8, 12)


def model_of(candidate: Candidate) -> tuple[int, float, str]:
    student = dict(candidate.student)
    return int(student.get("depth", 3)), float(student.get("width", 1.0)), candidate.sparsity


def training_key(candidate: Candidate, kind: str) -> str:
    return f"{kind} {candidate.student} {candidate.sparsity if kind == 'prune' else ''}"


def trainings_of(
    candidate: Candidate, seen: set[str], seconds: float, upto: int = 12
) -> tuple[StageRecord, ...]:
    """Distilled, and pruned where it is sparse, each with its curve; from the store where it was seen.

    The last one is given up after `upto` epochs.
    """
    top = accuracy_of(replace(candidate, precision=Precision("fp32")), random.Random(3))
    kinds = ("distill",) if candidate.sparsity == "dense" else ("distill", "prune")
    made = []
    for kind in kinds:
        key, last = training_key(candidate, kind), upto if kind == kinds[-1] else 12
        low = 0.25 if kind == "distill" else top - 0.12
        end = top + (0.004 if kind == "distill" and candidate.sparsity != "dense" else 0.0)
        curve = tuple((e, end - (end - low) * 0.75 ** (e + 2)) for e in RUNGS if e <= last)
        spent = 0.0 if key in seen else seconds * (1.0 if kind == "distill" else 0.6) * last / 12
        made.append(StageRecord(name=kind, key=key, cached=key in seen, seconds=spent, curve=curve))
        seen.add(key)
    return tuple(made)


def proposed(evaluation: Evaluation, number: int, seconds: float, rng: random.Random) -> Proposal:
    by = "start" if number < 9 else "random" if number % 10 == 0 else "gain"
    half = 0.008 + 0.12 / (number - 3)
    predicted = accuracy_of(evaluation.candidate, rng) + rng.gauss(0, half / 2)
    return Proposal(
        by=by,
        quality=quantity(predicted, half, "from 9 relatives", "estimated") if number >= 9 else None,
        gain=0.08 / number if by == "gain" else None,
        seconds=seconds,
    )


def searched_study(study: StudyRecord) -> StudyRecord:
    """The study as the sampler of our own leaves it: proposals, curves, bounds, stops, an audit."""
    seen: set[str] = set()
    rng = random.Random(5)
    trials, best = [], study.trials[4].number
    for trial in study.trials:
        evaluation = trial.evaluation
        if evaluation.baseline or trial.duplicate_of is not None:
            trials.append(trial)
            continue
        before, model = len(seen), model_of(evaluation.candidate)
        taken = 9.0 + 8.0 * model[0] * model[1]
        if evaluation.outcome is Outcome.COMPLETE:
            head = evaluation.stages[:3]
            basis = "#5, the same student with fewer channels removed, has 92.00 %; 1 pt margin"
            bound = Bound(value=0.93, beaten_by=best, basis=basis)
            reason = f"even at 93.00 % ({basis}), #{best} would be better by 3.1 pt and 40 µs"
            stop = replace(
                evaluation, outcome=Outcome.GATED, metrics={}, bound=bound, reason=reason, violations={},
                artifact_key="", weight_bytes={},
            )  # fmt: skip
            tried = evaluation.candidate
            if model in SMALL:  # without its student the pruned one cannot be either
                tried = replace(tried, sparsity="dense")
            hopeless = model in SMALL or model == SPARSE
            if hopeless and training_key(tried, "prune" if model == SPARSE else "distill") in seen:
                evaluation = replace(stop, stages=head)
            elif hopeless:
                given_up = trainings_of(tried, seen, taken, 4)
                evaluation = replace(stop, stages=(*head, *given_up), stopped_epoch=4)
            else:
                trained = trainings_of(tried, seen, taken)
                evaluation = replace(evaluation, stages=(*head, *trained, *evaluation.stages[-3:]))
        expected = 1.5 + (taken if len(seen) > before or evaluation.outcome is Outcome.GATED else 0.0)
        evaluation = replace(evaluation, proposal=proposed(evaluation, trial.number, expected, rng))
        trials.append(replace(trial, evaluation=evaluation))
    gated = [t for t in trials if t.evaluation.bound is not None and not t.evaluation.stopped_epoch]
    record = replace(
        study, name="digits-searched", trials=tuple(trials), finalists=(), sampler="hardware-first",
        counters={**study.counters, "measured": 41, "gated_before_training": len(gated)},
        audit=tuple(
            Audited(number=t.number, evaluation=study.trials[t.number].evaluation, on_front=False)
            for t in gated[:2]
        ),
        remarks=(
            "started from 12 students of the study 'digits-phone', trained on the same data",
            "trials 21 to 24 were proposed by TPE: the accuracy model was no better than a constant",
        ),
        stopped="the expected gain stayed under 0.01 % of the hypervolume a second for 10 proposals",
    )  # fmt: skip
    return replace(record, finalists=finalists_of(record))


@pytest.fixture(scope="session")
def searched(study: StudyRecord) -> StudyRecord:
    """A study that the sampler of our own has made."""
    return searched_study(study)


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
