"""Records a whole space: every candidate of a study trained, compiled, scored and measured for real.

    python -m benchmarks.exhaustive.record --store STORE --table DIRECTORY

Evaluates every candidate of a study file once, by the product's own stages: each student trained, and every
precision, calibration and backend of it compiled, scored and measured on this machine. It takes half an hour
and more. All that is made lies in the store, so that a killed recording goes on where it was. What something
took is what the processor worked for it, since other work may load the machine.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import pandas as pd
from paretune.backends.measure.environment import environment
from paretune.backends.registry import packages
from paretune.search.evaluation.evaluator import Evaluator
from paretune.search.job.job import load_job
from paretune.search.ladder.bench import Climbs
from paretune.search.ladder.ladder import LadderSettings
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation
from paretune.search.record.progress import Progress
from paretune.search.record.protocols import Standard, TrainEverything
from paretune.search.run.device import device_stages
from paretune.search.stages.chain import Chain
from paretune.search.stages.models.load import check_data
from paretune.search.stages.models.torch_models import TorchModels
from paretune.search.store.store import Store

from benchmarks.command import ended, tell
from benchmarks.exhaustive.processor import Spent
from benchmarks.exhaustive.table import (
    ABOUT,
    HARDWARE,
    POINTS,
    SPACE,
    TRAININGS,
    named_in_table,
    table_parser,
)
from benchmarks.exhaustive.told import write_untrained
from benchmarks.exhaustive.untrained import told_of
from benchmarks.simulation.recorded import LATENCY, QUALITY

STUDY = Path(__file__).resolve().parents[1] / "data" / "exhaustive_digits.yaml"
DEVICE_STAGES = ("export", "compile", "score", "measure")
PROCESSOR = "processor.json"
Line = dict[str, Any]


class Recorder:
    """The product's own stages over every candidate of a study's space."""

    def __init__(self, study: Path, store: Path) -> None:
        self.job, self.store, self.spent = load_job(study), Store(store), Spent(store / PROCESSOR)
        self.space, self.axes = self.job.space, list(self.job.space.student_axes)
        check_data(self.job.loaded)
        self.models = TorchModels(self.job.loaded, self.store, Progress(), self.job.file.training.threads)
        self.models.prepare(self.space)
        self.models.teacher.soft_targets()  # the same for all, so no student's training pays for it
        self.device = device_stages(self.job, self.job.reached(), self.store, Progress(), self.models)
        chain = Chain(self.models, self.device)
        self.evaluator = Evaluator(chain, Climbs(chain, LadderSettings(rungs=())))

    def record(self, into: Path) -> None:
        reference = self.space.baselines()[0]
        self.evaluator.prepare_reference(reference)
        measured = self._evaluated(reference, TrainEverything())
        judge = TrainEverything(Standard(reference_ms=measured.metrics[LATENCY].value))
        dense_first = sorted(self.space.trainings(), key=lambda candidate: candidate.sparsity != "dense")
        trainings = []
        for candidate in dense_first:
            trainings.append(self._trained(candidate))
            tell(f"{len(trainings)} of {len(dense_first)} trainings: {candidate.title}")
        points = []
        for candidate in self.space.candidates():
            points.append(self._point(candidate, judge))
            tell(f"{len(points)} of {self.space.size}: {candidate.title}")
        into.mkdir(parents=True, exist_ok=True)
        with gzip.GzipFile(into / POINTS, "wb", mtime=0) as file:  # the same bytes for the same table
            file.write(pd.DataFrame(points).to_csv(index=False).encode())
        pd.DataFrame(trainings).to_csv(into / TRAININGS, index=False)
        write_untrained(told_of(self.models, self.space), into)
        (into / ABOUT).write_text(json.dumps(self._about(), indent=1) + "\n")

    def _trained(self, candidate: Candidate) -> Line:
        with self.spent.counted() as share:
            entry = self.models.trainer.trained(candidate)
            share.of = [] if entry.cached else [entry.key]
        named, meta, earlier = named_in_table(candidate, self.axes), entry.meta, entry.meta["earlier_seconds"]
        epochs, share_of_clock = meta["curve"][-1][0], self.spent.shares.get(entry.key)
        line = {
            **{column: value for column, value in named.items() if column in (*self.axes, "sparsity")},
            "stage": entry.stage,
            "epochs": epochs,
            "quality": meta["quality"]["validation"],
            # What a kill ended counts in the same proportion.
            "cpu_seconds": share_of_clock and share_of_clock * (entry.made_seconds + earlier),
            "wall_seconds": entry.made_seconds + earlier,
            "parameters": meta["parameters"],
            "macs": meta["macs"],
        }
        work = epochs * len(self.job.loaded.splits.train) * meta["macs"]
        curve = " ".join(f"{epoch}:{value:.6f}" for epoch, value in meta["curve"])
        return {**_short(line), "work": work, "curve": curve}

    def _point(self, candidate: Candidate, judge: TrainEverything) -> Line:
        found = self._evaluated(candidate, judge)
        line = {
            **named_in_table(candidate, self.axes),
            "outcome": str(found.outcome.value),
            "reason": found.reason or found.cause,
            "stability": found.stability,
        }
        for name in (QUALITY, *HARDWARE):
            metric = found.metrics.get(name)
            line[name] = metric.value if metric else None
            if metric and name in (QUALITY, LATENCY):
                line[f"{name}_low"], line[f"{name}_high"] = metric.low, metric.high
        return _short({**line, **self._seconds(found)})

    def _evaluated(self, candidate: Candidate, judge: TrainEverything) -> Evaluation:
        with self.spent.counted() as share:
            found = self.evaluator.evaluate(candidate, judge)
            share.of = [stage.key for stage in found.stages if not stage.cached]
        return found

    def _seconds(self, found: Evaluation) -> dict[str, float]:
        entries = [
            (s.name, self.store.glance(s.name, s.key)) for s in found.stages if s.name in DEVICE_STAGES
        ]
        return {
            f"{name}_seconds": entry.made_seconds * self.spent.shares.get(entry.key, 1.0)
            for name, entry in entries
            if entry is not None
        }

    def _about(self) -> Line:
        teacher = {k: v for k, v in self.models.teacher_facts().items() if k != "output_shape"}
        return {
            "date": time.strftime("%Y-%m-%d", time.gmtime()),
            "environment": dict(environment(packages())),
            "teacher": teacher,
            "masked": [f"{m.backend} {m.what}: {m.reason}" for m in self.space.masked],
            "space": SPACE.dump_python(self.space, mode="json", exclude={"masked"}, exclude_defaults=True),
        }


def _short(line: Mapping[str, Any]) -> Line:
    return {
        name: float(f"{value:.6g}") if isinstance(value, float) and abs(value) < 1e5 else value
        for name, value in line.items()
    }


def main(argv: list[str] | None = None) -> int:
    options = table_parser(__doc__, study=STUDY).parse_args(argv)

    def written() -> Path:
        recorder = Recorder(options.study, options.store)
        with closing(recorder.device):
            recorder.record(options.table)
        return options.table

    return ended(written)


if __name__ == "__main__":
    sys.exit(main())
