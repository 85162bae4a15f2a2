"""Artifacts of a finished study and of the teacher alone, measured in the same rounds, scored on `test`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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


@dataclass(frozen=True, kw_only=True)
class Row:
    """One artifact against the teacher as fp32 in ONNX Runtime; ratios below 1 are smaller and faster, and
    `drop_points` above 0 is accuracy lost, on the test split. Intervals are of 95 %."""

    title: str
    size_ratio: float
    latency_ratio: float
    latency_interval: tuple[float | None, float | None]
    drop_points: float
    drop_interval: tuple[float, float]
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
    teacher: dict[str, float]  # accuracy, size_bytes, latency_ms: filled by `measured`

    @property
    def labels(self) -> np.ndarray[Any, Any]:
        """Of the test split."""
        return self.models.split("test")[0].labels

    def outputs(self, compiled: Entry, backend: str) -> np.ndarray[Any, Any]:
        """What an artifact says about the test split, in its own runtime."""
        split, digest = self.models.split("test")
        entry = self.device.scored(compiled, backend, split, digest, self.models.metric)
        with np.load(entry.path / "outputs.npz") as arrays:
            found: np.ndarray[Any, Any] = arrays["outputs"]
        return found


@contextmanager
def opened(study: Path) -> Iterator[Bench]:
    """The study's parts, with the teacher as fp32 in ONNX Runtime as reference of every measurement."""
    job = load_job(study)
    progress = Progress()
    models = load_models(job.loaded, progress=progress, threads=job.file.training.threads)
    store = Store(job.places.store)
    models.prepare(store, job.space, should_stop=lambda: False)
    with closing(device_stages(job, job.launch(), store, progress)) as device:
        chain = Chain(models, device)
        evaluator = Evaluator(chain, Climbs(chain))
        evaluator.prepare_reference(TEACHER)
        yield Bench(job=job, models=models, device=device, evaluator=evaluator, teacher={})


def measured(bench: Bench, record: StudyRecord, recommended: int | None) -> tuple[Row, list[Row]]:
    """The recommended candidate, and each form that post-training quantization alone gives of the teacher."""
    if recommended is None:
        raise SystemExit("the study recommends nothing: there is nothing to measure")
    ours = trial_of(record, recommended).evaluation
    alone = [found for candidate in teacher_alone(bench.job) if (found := complete(bench, candidate))]
    reference = complete(bench, TEACHER)
    if reference is None:
        raise SystemExit("the teacher does not run as fp32 in ONNX Runtime")
    subjects = {"ours": ours, **{str(n): found for n, found in enumerate(alone)}}
    artifacts = {name: bench.evaluator.chain.artifact(found) for name, found in subjects.items()}
    named = {name: (entry, subjects[name].candidate.backend) for name, entry in artifacts.items()}
    rounds = bench.device.interleaved(named, LatencyPlan(rounds=ROUNDS, seed=bench.job.file.seed))
    labels = bench.labels
    base = bench.evaluator.chain.artifact(reference)
    teacher_right = correct(bench.outputs(base, TEACHER.backend), labels)
    bench.teacher.update(
        accuracy=float(teacher_right.mean()),
        size_bytes=float(base.meta["artifact"]["size_bytes"]),
        latency_ms=summarize(rounds, REFERENCE).latency_ms.value,
        parameters=float(bench.models.teacher_facts()["parameters"]),
    )
    effects = {f.number: f.side_effects for f in record.finalists}.get(recommended, {})
    rows = {}
    for name, (entry, backend) in named.items():
        if name in rounds.failed:
            continue
        ratio = compare(rounds, name, REFERENCE)
        right = correct(bench.outputs(entry, backend), labels)
        low, high = _paired_interval(teacher_right, right)
        size = int(entry.meta["artifact"]["size_bytes"])
        rows[name] = Row(
            title=subjects[name].candidate.title,
            size_ratio=size / bench.teacher["size_bytes"],
            latency_ratio=ratio.value,
            latency_interval=(ratio.low, ratio.high),
            drop_points=100 * float(teacher_right.mean() - right.mean()),
            drop_interval=(100 * low, 100 * high),
            accuracy=float(right.mean()),
            size_bytes=size,
            latency_ms=summarize(rounds, name).latency_ms.value,
            side_effects={k: vars(v) for k, v in effects.items()} if name == "ours" else {},
        )
    return rows.pop("ours"), list(rows.values())


def teacher_alone(job: Job) -> Iterator[Candidate]:
    """The teacher at every precision below fp32 that each backend of the study offers on the device."""
    for choices in job.space.backends:
        for precision in offered_precisions(choices.name, job.profile):
            methods = choices.calibration_methods if precision.decoded.calibrated else ("",)
            if precision is Precision.FP32:
                continue
            for method in methods:
                yield Candidate(
                    backend=choices.name,
                    precision=precision,
                    calibration_method=method,
                    calibration_samples=max(job.space.calibration_samples) if method else 0,
                )


def complete(bench: Bench, candidate: Candidate) -> Evaluation | None:
    """The evaluation of a simple choice, None where it cannot exist or fails."""
    try:
        found = bench.evaluator.evaluate(candidate, TrainEverything(), baseline=True)
    except StageError:
        return None
    return found if found.outcome is Outcome.COMPLETE else None


def correct(outputs: np.ndarray[Any, Any], labels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Which samples are classified correctly."""
    return np.asarray(outputs.argmax(axis=-1) == labels)


def _paired_interval(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> tuple[float, float]:
    """95 % interval of the mean of one minus the other, by drawing samples again (paired)."""
    rng = np.random.default_rng(0)
    difference = one.astype(float) - other.astype(float)
    rows = rng.integers(0, len(difference), size=(DRAWS, len(difference)))
    low, high = np.quantile(difference[rows].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def trained_students(record: StudyRecord, most: int) -> Sequence[Candidate]:
    """Different trained students of a study, as they stand at 4-bit weights on LiteRT, smallest first."""
    found: dict[Any, tuple[float, Candidate]] = {}
    for trial in record.trials:
        evaluation, candidate = trial.evaluation, trial.evaluation.candidate
        if evaluation.outcome is Outcome.COMPLETE and candidate.recipe and "parameters" in evaluation.metrics:
            key = (candidate.student, candidate.sparsity, candidate.recipe)
            found[key] = (evaluation.metrics["parameters"].value, candidate)
    ordered = sorted(found.values(), key=lambda pair: pair[0])
    return [candidate for _, candidate in ordered[:most]]
