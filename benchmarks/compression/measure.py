"""Artifacts of a finished study and of the teacher alone, measured in the same rounds, scored on `test`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from paretune.backends.measure.latency import REFERENCE, LatencyPlan, compare, summarize
from paretune.backends.registry import offered_precisions
from paretune.profiles.errors import StageError
from paretune.profiles.precision import Precision
from paretune.search.evaluation.evaluator import Evaluator
from paretune.search.job.job import Job, load_job
from paretune.search.ladder.bench import Climbs
from paretune.search.ranking.known import trial_of
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, StudyRecord
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import TrainEverything
from paretune.search.run.session import device_stages
from paretune.search.stages.chain import Chain
from paretune.search.stages.device.stages import DeviceStages
from paretune.search.stages.models.base import Models
from paretune.search.stages.models.load import load_models
from paretune.search.store.store import Entry, Store

ROUNDS = 60
DRAWS = 2000  # of the bootstrap
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
        entry = self.device.scored(compiled, backend, split, digest, self.models.metric)
        with np.load(entry.path / "outputs.npz") as arrays:
            return np.asarray(arrays["outputs"].argmax(axis=-1) == split.labels)


@contextmanager
def opened(study: Path) -> Iterator[Bench]:
    """The study's parts, with the teacher as fp32 in ONNX Runtime as reference of every measurement."""
    job = load_job(study)
    progress = Progress()
    store = Store(job.places.store)
    models = load_models(job.loaded, store, progress, job.file.training.threads, fallback=job.space.recipe)
    models.prepare(job.space)
    with closing(device_stages(job, job.launch(), store, progress)) as device:
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
