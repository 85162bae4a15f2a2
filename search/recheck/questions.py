"""What artifacts are asked: the test split where the workload still loads, else what the store keeps."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...backends.contract.backend import Array
from ...backends.runner.client import Guard
from ...profiles.errors import UserError
from ...profiles.words import one_line
from ..job.job import Job
from ..record.digest import digest_of
from ..record.evaluation import Quantity, StudyRecord
from ..record.progress import Progress
from ..run.restore import job_of
from ..run.stored import stored_study
from ..stages.device.interval import score
from ..stages.models.base import Models
from ..stages.models.load import kept_models
from ..storage.read_only import study_for_reading
from ..storage.same_problem import PROBLEM
from ..store.opening import open_store
from ..workload.metric import Metric
from ..workload.outputs import OutputChoice
from ..workload.task import CLASSES
from .kept import KeptArtifact

_MOST_OF_OPTIONS = 256


@dataclass(frozen=True, kw_only=True)
class StudyNow:
    """The study's file and workload as they are now; `remark` says what has changed since it was run."""

    job: Job
    models: Models
    remark: str = ""


@dataclass(frozen=True, kw_only=True)
class AskedSamples:
    """Inputs by name (samples along axis 0), and what their answers are held against, where that is known.
    `task` is what the model is for."""

    inputs: Mapping[str, Array]
    labels: Array | None = None
    metric: Metric | None = None
    choice: OutputChoice | None = None
    samples: str = ""
    task: str = CLASSES

    @property
    def count(self) -> int:
        """How many samples they are."""
        return len(next(iter(self.inputs.values())))

    def first(self, most: int = _MOST_OF_OPTIONS) -> dict[str, Array]:
        """The inputs of the first samples, to be asked often."""
        return {name: array[:most] for name, array in self.inputs.items()}

    def first_of(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Of outputs for all samples, those for the first; none where they have not a row for each."""
        most = min(self.count, _MOST_OF_OPTIONS)
        if most < self.count and any(len(array) != self.count for array in outputs.values()):
            return {}
        return {name: array[:most] if most < self.count else array for name, array in outputs.items()}

    def named(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs that are meant, by the float model's names.

        Raises:
            StageError: one is missing.
        """
        if self.choice is None:
            return dict(outputs)
        names = dict.fromkeys((self.choice.primary, *self.choice.scored))
        found = self.choice.by_name(outputs)
        return {name: found[name] for name in names}

    def score(self, outputs: Mapping[str, Array], place: str) -> Quantity | None:
        """The workload's metric of an artifact's outputs; None where labels or metric are not known.

        Raises:
            StageError: an output is missing, or the metric gives no finite number.
        """
        if self.metric is None or self.labels is None or self.choice is None:
            return None
        scored = self.choice.for_metric(self.choice.by_name(outputs))
        return score(self.metric, scored, self.labels, place=place, samples=self.samples)


def study_now(path: Path, record: StudyRecord, run_dir: Path, progress: Progress) -> StudyNow:
    """The study as it is described now; nothing is trained.

    Raises:
        UserError: its file, its workload or its data are gone or cannot be accepted.
    """
    missed = "what its artifacts are to be asked is not known"
    job, _ = job_of(path, missed, estimate=record.estimated is not None)
    threads, recipe = job.file.training.threads, job.space.recipe
    models = kept_models(job.loaded, open_store(record.store), progress, threads, recipe, record.name)
    return StudyNow(job=job, models=models, remark=_changed(job, run_dir))


def _changed(job: Job, run_dir: Path) -> str:
    before: Mapping[str, object] = {}
    with suppress(UserError), study_for_reading(*stored_study(run_dir)) as studies:
        before = studies.mapping(PROBLEM)
    now = {"workload": job.loaded.source_digest, "data": digest_of(job.loaded.data_digests)}
    changed = [name for name, digest in now.items() if before and before.get(name) != digest]
    if not changed:
        return ""
    return (
        f"its {' and '.join(changed)} changed since the study was run: scores are those of now on both sides"
    )


def questions_of(now: StudyNow | None, artifact: KeptArtifact, task: str) -> AskedSamples:
    """The test split, or else the samples that the store keeps with the artifact.

    Raises:
        UserError: the workload cannot say which outputs are meant.
    """
    if now is None:
        return AskedSamples(inputs=artifact.sample, task=task)
    split, digest = now.models.split("test")
    metric = now.models.metric
    return AskedSamples(
        inputs=split.inputs,
        labels=split.labels,
        metric=metric,
        choice=now.models.outputs,
        samples=digest_of((digest, metric.digest))[:16],
        task=task,
    )


def why_not(error: UserError) -> str:
    """Why there are no questions of the workload's, in a line."""
    said = f"{error.problem} ({error.found})" if error.found else error.problem
    return (
        f"the workload's test split is not to be had: {one_line(said, 300)}; the artifacts are asked the "
        "samples that the store keeps with them, which have no labels"
    )


def guard_of(now: StudyNow | None) -> Guard:
    """The limits on runners that the study states."""
    return now.job.guard if now else Guard()
