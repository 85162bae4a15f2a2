"""Artifacts of a finished study and of the teacher alone, measured in the same rounds, scored on `test`.

And what plain 4-bit weights lose on the smallest students that the study trained, on every backend that has
them, and what quantization-aware training wins back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from paretune.backends.measure.samples import REFERENCE, LatencyPlan
from paretune.backends.measure.summary import compare, summarize
from paretune.backends.registry import offered_precisions
from paretune.profiles.errors import StageError, UnsupportedError
from paretune.profiles.precision import Precision
from paretune.search.evaluation.evaluator import Evaluator
from paretune.search.job.job import Job, load_job
from paretune.search.ladder.bench import Climbs
from paretune.search.ranking.known import trial_of
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, StudyRecord
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import TrainEverything
from paretune.search.record.treatment import UNTREATED, QatPlan, Treatment
from paretune.search.run.device import device_stages
from paretune.search.stages.chain import Chain, Trace
from paretune.search.stages.device.kept_outputs import primary_outputs
from paretune.search.stages.device.stages import DeviceStages
from paretune.search.stages.models.base import Models
from paretune.search.stages.models.load import load_models
from paretune.search.stages.training.fake_quantize import qat_bits
from paretune.search.store.store import Entry, Store

from benchmarks.command import tell

ROUNDS = 60
DRAWS = 2000  # of the bootstrap
MODELS = 4  # of which 4-bit weights are looked at
TEACHER = Candidate(backend="ort", precision=Precision.FP32)
Array = np.ndarray[Any, Any]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One artifact against the teacher as fp32 in ONNX Runtime; ratios below 1 are smaller and faster, and
    `accuracy_drop_points` above 0 are lost, on the test split. Intervals are of 95 %."""

    candidate: str
    size_ratio: float
    latency_ratio: float
    latency_ratio_interval: tuple[float | None, float | None]
    accuracy_drop_points: float
    accuracy_drop_interval: tuple[float, float]
    accuracy: float
    size_bytes: int
    latency_ms: float
    side_effects: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A study's models and device, opened again after it has ended."""

    job: Job
    models: Models
    device: DeviceStages
    evaluator: Evaluator

    def right(self, compiled: Entry, backend: str) -> Array:
        """Which samples of the test split an artifact classifies correctly, in its own runtime."""
        split, digest = self.models.split("test")
        models = self.models
        entry = self.device.scored(compiled, backend, split, digest, models.metric, models.outputs)
        return np.asarray(primary_outputs(entry).argmax(axis=-1) == split.labels)


@contextmanager
def opened(study: Path) -> Iterator[Bench]:
    """The study's parts, with the teacher as fp32 in ONNX Runtime as reference of every measurement."""
    job = load_job(study)
    progress = Progress()
    store = Store(job.places.store)
    models = load_models(job.loaded, store, progress, job.file.training.threads, fallback=job.space.recipe)
    models.prepare(job.space)
    with closing(device_stages(job, job.reached(), store, progress, models)) as device:
        chain = Chain(models, device)
        evaluator = Evaluator(chain, Climbs(chain))
        evaluator.prepare_reference(TEACHER)
        yield Bench(job=job, models=models, device=device, evaluator=evaluator)


def measured(
    bench: Bench, record: StudyRecord, recommended: int | None
) -> tuple[Row, list[Row], dict[str, float]]:
    """The recommended candidate, each form that post-training quantization alone gives of the teacher, and
    the teacher's own accuracy, size, latency and parameters."""
    if recommended is None:
        raise SystemExit("the study recommends nothing: there is nothing to measure")
    alone = [found for candidate in teacher_alone(bench.job) if (found := _complete(bench, candidate))]
    reference = _complete(bench, TEACHER)
    if reference is None:
        raise SystemExit("the teacher does not run as fp32 in ONNX Runtime")
    found = [trial_of(record, recommended).evaluation, *alone]
    entries = [(bench.evaluator.chain.artifact(each), each.candidate.backend) for each in found]
    named = {str(number): entry for number, entry in enumerate(entries)}
    rounds = bench.device.interleaved(named, LatencyPlan(rounds=ROUNDS, seed=bench.job.file.seed))
    if "0" in rounds.failed:
        raise SystemExit(f"what the study recommends does not run: {rounds.failed['0']}")
    base = bench.evaluator.chain.artifact(reference)
    right = bench.right(base, TEACHER.backend)
    teacher = {
        "accuracy": float(right.mean()),
        "size_bytes": float(base.meta["artifact"]["size_bytes"]),
        "latency_ms": summarize(rounds, REFERENCE).latency_ms.value,
        "parameters": float(bench.models.teacher_facts()["parameters"]),
    }
    effects = {f.number: f.side_effects for f in record.finalists}.get(recommended, {})
    rows = []
    for (name, (entry, backend)), each in zip(named.items(), found, strict=True):
        if name in rounds.failed:
            continue
        mine, ratio = bench.right(entry, backend), compare(rounds, name, REFERENCE)
        size = int(entry.meta["artifact"]["size_bytes"])
        row = Row(
            candidate=each.candidate.title,
            size_ratio=size / teacher["size_bytes"],
            latency_ratio=ratio.value,
            latency_ratio_interval=(ratio.low, ratio.high),
            accuracy_drop_points=100 * float(right.mean() - mine.mean()),
            accuracy_drop_interval=_paired_interval(right, mine),
            accuracy=float(mine.mean()),
            size_bytes=size,
            latency_ms=summarize(rounds, name).latency_ms.value,
            side_effects={} if rows else {key: vars(value) for key, value in effects.items()},
        )
        rows.append(row)
    return rows[0], rows[1:], teacher


def teacher_alone(job: Job) -> Iterator[Candidate]:
    """The teacher at every precision below fp32 that each backend of the study offers on the device."""
    for choices in job.space.backends:
        offered = offered_precisions(choices.name, job.profile)
        for precision in (each for each in offered if each is not Precision.FP32):
            for method in choices.calibration_methods if precision.decoded.calibrated else ("",):
                yield Candidate(
                    backend=choices.name,
                    precision=precision,
                    calibration_method=method,
                    calibration_samples=max(job.space.calibration_samples) if method else 0,
                )


def _complete(bench: Bench, candidate: Candidate) -> Evaluation | None:
    """The evaluation of a simple choice, None where it cannot exist or fails."""
    try:
        found = bench.evaluator.evaluate(candidate, TrainEverything(), baseline=True)
    except StageError:
        return None
    return found if found.outcome is Outcome.COMPLETE else None


def _paired_interval(one: Array, other: Array) -> tuple[float, float]:
    """95 % interval, in points, of the mean of one minus the other, by drawing samples again (paired)."""
    rng = np.random.default_rng(0)
    difference = one.astype(float) - other.astype(float)
    rows = rng.integers(0, len(difference), size=(DRAWS, len(difference)))
    low, high = np.quantile(difference[rows].mean(axis=1), (0.025, 0.975))
    return 100 * float(low), 100 * float(high)


# -- 4-bit weights ------------------------------------------------------------------------------------------


def four_bit_rows(bench: Bench, record: StudyRecord) -> list[dict[str, Any]]:
    """For each model and backend: points lost by plain 4-bit weights against the float model in the same
    runtime, and points of it won back by training."""
    epochs = bench.job.file.ladder.qat_epochs if bench.job.file.ladder != "never" else 4
    rows = []
    for candidate in _candidates(bench, record):
        try:
            rows.append(_row(bench, candidate, epochs))
        except UnsupportedError as error:
            tell(f"not compared: {candidate.title}: {error.reason}")
        except StageError as error:
            tell(f"failed: {candidate.title}: {error.stage}: {error.cause}")
    return rows


def _candidates(bench: Bench, record: StudyRecord) -> Iterator[Candidate]:
    for student in _smallest_students(record):
        for choices in bench.job.space.backends:
            if Precision.INT4_WEIGHT in offered_precisions(choices.name, bench.job.profile):
                yield replace(student, backend=choices.name, precision=Precision.INT4_WEIGHT)


def _smallest_students(record: StudyRecord) -> list[Candidate]:
    found: dict[Any, tuple[float, Candidate]] = {}
    for trial in record.trials:
        evaluation, candidate = trial.evaluation, trial.evaluation.candidate
        if evaluation.outcome is Outcome.COMPLETE and candidate.recipe and "parameters" in evaluation.metrics:
            key = (candidate.student, candidate.sparsity, candidate.recipe)
            found[key] = (evaluation.metrics["parameters"].value, candidate)
    return [candidate for _, candidate in sorted(found.values(), key=lambda pair: pair[0])[:MODELS]]


def _row(bench: Bench, candidate: Candidate, epochs: int) -> dict[str, Any]:
    bits = qat_bits(Precision.INT4_WEIGHT)
    assert bits is not None
    trained = Treatment(qat=QatPlan(weight_bits=bits[0], activation_bits=bits[1], epochs=epochs))
    scores = {
        "float": _accuracy(bench, replace(candidate, precision=Precision.FP32), UNTREATED),
        "plain": _accuracy(bench, candidate, UNTREATED),
        "trained": _accuracy(bench, candidate, trained),
    }
    return {
        "candidate": candidate.title,
        "epochs": epochs,
        **{f"{name}_accuracy": score for name, score in scores.items()},
        "lost_points": 100 * (scores["float"] - scores["plain"]),
        "won_points": 100 * (scores["trained"] - scores["plain"]),
    }


def _accuracy(bench: Bench, candidate: Candidate, treatment: Treatment) -> float:
    compiled = bench.evaluator.chain.compiled(candidate, Trace(), treatment=treatment)
    return float(bench.right(compiled, candidate.backend).mean())
