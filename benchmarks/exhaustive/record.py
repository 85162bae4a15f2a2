"""Records a whole space: every candidate of a study trained, compiled, scored and measured for real.

What is recorded goes line by line to a JSONL file, so that a killed recording goes on where it was; models
and artifacts lie in a store. A second process may run ahead and make models (`ahead`), so that the one that
measures has the other core to itself.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from paretune.backends.measure.environment import environment
from paretune.profiles.errors import ParetuneError
from paretune.search.evaluation.evaluator import Evaluator
from paretune.search.job.job import Job, load_job
from paretune.search.ladder.bench import Climbs
from paretune.search.ladder.ladder import LadderSettings
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import EVALUATION, Evaluation, Outcome
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import Standard, TrainEverything
from paretune.search.run.session import device_stages
from paretune.search.space.space import Space
from paretune.search.stages.chain import Chain, Trace
from paretune.search.stages.models.torch_models import TorchModels
from paretune.search.store.store import Entry, Store

DEVICE_STAGES = ("export", "compile", "score", "measure")
Line = dict[str, Any]


class Lines:
    """What was recorded, one JSON line each. Two processes may add to the same file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)

    def has(self, kind: str, key: str) -> bool:
        """Whether it is recorded, by whichever process."""
        return any(line["kind"] == kind and line["key"] == key for line in read_lines(self.path))

    def add(self, line: Line) -> None:
        """Append a line. It begins anew where a kill cut the last one off."""
        cut_off = self.path.is_file() and not self.path.read_bytes().endswith(b"\n")
        with self.path.open("a") as file:
            file.write("\n" * cut_off + json.dumps(line) + "\n")


def read_lines(path: Path) -> list[Line]:
    """All lines that are whole."""
    found = []
    for text in path.read_text().splitlines() if path.is_file() else []:
        try:
            found.append(json.loads(text))
        except ValueError:
            continue  # cut off by a kill: recorded again
    return found


class Recorder:
    """The product's own stages over every candidate of a study's space."""

    def __init__(self, study: Path, store: Path, lines: Lines, *, ahead_only: bool = False) -> None:
        self.ahead_only = ahead_only
        self.job: Job = load_job(study)
        self.lines, self.store = lines, Store(store)
        self.models = TorchModels(self.job.loaded, Progress(), self.job.file.training.threads)
        self.models.check()
        self.models.prepare(self.store, self.job.space, should_stop=lambda: False)
        self.models.stages.teacher_logits()  # the same for all, so no student's training pays for it
        self.device = device_stages(self.job, self.job.launch(), self.store, Progress())
        self.chain = Chain(self.models, self.device)
        self.evaluator = Evaluator(self.chain, Climbs(self.chain, LadderSettings(rungs=())))

    def record(self) -> None:
        """Record everything that is not recorded yet."""
        self._about()
        self._reference()
        for group in groups(self.job.space):
            self._train(group[0])
            for candidate in group:
                if not self.lines.has("point", candidate.digest):
                    self._point(candidate)

    def ahead(self) -> None:
        """Train, compile and score, and measure nothing: what `record` will need."""
        for group in groups(self.job.space):
            self._train(group[0])
            for candidate in group:
                if not self.lines.has("point", candidate.digest):
                    self._scored(candidate)

    def close(self) -> None:
        """End all runner processes."""
        self.device.close()

    def _about(self) -> None:
        if self.lines.has("about", "about"):
            return
        teacher = {k: v for k, v in self.models.teacher_facts().items() if k != "output_shape"}
        self.lines.add(
            {
                "kind": "about",
                "key": "about",
                "date": time.strftime("%Y-%m-%d", time.gmtime()),
                "environment": dict(environment()),
                "teacher": teacher,
                "masked": [f"{m.backend} {m.what}: {m.reason}" for m in self.job.space.masked],
            }
        )

    def _reference(self) -> None:
        reference = self.job.space.baselines()[0]
        self.evaluator.prepare_reference(reference)
        measured = self.evaluator.evaluate(reference, TrainEverything())
        self.standard = Standard(reference_ms=measured.metrics["latency_ms"].value)

    def _train(self, candidate: Candidate) -> None:
        """Train what the candidates of a group share, and note what each training took."""
        steps = self.models.trainings(candidate)
        versions = [replace(candidate, sparsity="dense"), candidate][-len(steps) :] if steps else []
        for version in versions:
            before = time.process_time()
            entry = self.models.stages.trained(version)
            spent = time.process_time() - before
            if entry.cached and (self.ahead_only or self.lines.has("training", entry.key)):
                continue  # noted by whoever made it
            self._note_training(version, entry, None if entry.cached else spent)

    def _note_training(self, candidate: Candidate, entry: Entry, cpu_seconds: float | None) -> None:
        epochs, meta = entry.meta["curve"][-1][0], entry.meta
        if cpu_seconds is not None and meta["earlier_seconds"]:  # a kill took the count of what came before
            cpu_seconds *= 1 + meta["earlier_seconds"] / entry.made_seconds
        self.lines.add(
            {
                "kind": "training",
                "key": entry.key,
                "stage": entry.stage,
                "student": dict(candidate.student),
                "sparsity": candidate.sparsity,
                "cpu_seconds": cpu_seconds,
                "wall_seconds": entry.made_seconds + meta["earlier_seconds"],
                "epochs": epochs,
                "curve": meta["curve"],
                "quality": meta["quality"]["validation"],
                "work": epochs * len(self.models.stages.train_split) * meta["macs"],
                "parameters": meta["parameters"],
                "macs": meta["macs"],
            }
        )

    def _scored(self, candidate: Candidate) -> None:
        try:
            compiled = self.chain.compiled(candidate, Trace())
            for split in ("validation", "test"):
                self.chain.quality(candidate, compiled, Trace(), split=split)
        except ParetuneError:
            return  # `record` will meet it again, and note it

    def _point(self, candidate: Candidate) -> None:
        found = self.evaluator.evaluate(candidate, TrainEverything(self.standard))
        complete = found.outcome is Outcome.COMPLETE
        self.lines.add(
            {
                "kind": "point",
                "key": candidate.digest,
                "evaluation": EVALUATION.dump_python(found, mode="json"),
                "trainings": [training.key for training in self.models.trainings(candidate)],
                "test": self.evaluator.test_score(found).value if complete else None,
                "seconds": self._seconds(found),
            }
        )

    def _seconds(self, found: Evaluation) -> dict[str, float]:
        """What each stage took when it was made, whoever made it."""
        made = {}
        for stage in found.stages:
            entry = self.store.glance(stage.name, stage.key)
            if entry is not None and stage.name in DEVICE_STAGES:
                made[stage.name] = entry.made_seconds
        return made


def groups(space: Space) -> list[list[Candidate]]:
    """All candidates, those together that come from the same weights; the teacher's own first, then by the
    student, so that a pruned student follows its dense one."""
    found: dict[tuple[object, str], list[Candidate]] = {}
    for candidate in space.candidates():
        found.setdefault((candidate.student, candidate.sparsity), []).append(candidate)
    order = [tuple(sorted(student)) for student in space.students()]
    return sorted(found.values(), key=lambda group: order.index(group[0].student))
