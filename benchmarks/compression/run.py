"""How far a shipped example's model is compressed, against the teacher as fp32 in ONNX Runtime, on `test`.

Runs the example's own study as a user would, then measures what it recommends in the same rounds as the
teacher and as every form that post-training quantization alone gives of the teacher, and scores all of them
on the test split in their own runtimes. For 4-bit weights it also compares post-training quantization with
quantization-aware training of the students that the study trained.

    python -m benchmarks.compression.run --workload NAME --out FILE.json [--data PATH] [--work DIR]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml
from paretune.backends.measure.environment import environment
from paretune.backends.registry import packages
from paretune.reports.terminal.console import ConsoleProgress
from paretune.search.ranking.reading import read
from paretune.search.run.session import run_study
from rich.console import Console

from benchmarks.command import finish, parser_of, tell
from benchmarks.compression.goals import GOALS, judged
from benchmarks.compression.int4 import four_bit_rows
from benchmarks.compression.measure import measured, opened

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def study_copy(workload: str, data: Path | None, work: Path) -> Path:
    """The example's study file with all that it leaves behind below `work`, and the data where they are."""
    source = EXAMPLES / f"{workload}.yaml"
    text = yaml.safe_load(source.read_text())
    given = text["workload"]
    section = {"file": given} if isinstance(given, str) else dict(given)
    section["file"] = str(EXAMPLES / section["file"])
    if data is not None:
        section["options"] = {**section.get("options", {}), "data": str(data.resolve())}
    text.update(workload=section, runs=str(work / "runs"), store=str(work / "store"), warm_start=False)
    work.mkdir(parents=True, exist_ok=True)
    copy = work / source.name
    copy.write_text(yaml.safe_dump(text, sort_keys=False))
    return copy


def compressed(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that the benchmark finds out about one workload."""
    work = options.work.resolve() / options.workload
    study = study_copy(options.workload, options.data, work)
    begun = time.perf_counter()
    with ConsoleProgress(Console(stderr=True)) as progress:
        record = run_study(study, progress=progress).record
    seconds = time.perf_counter() - begun
    answer = read(record).verdict
    tell(answer.headline)
    with opened(study) as bench:
        ours, teacher_alone, teacher = measured(bench, record, answer.recommended)
        four_bit = four_bit_rows(bench, record)
    outcomes = Counter(trial.evaluation.outcome.value for trial in record.trials)
    return {
        "workload": options.workload,
        "verdict": [answer.headline, *answer.lines],
        **asdict(ours),
        "teacher": {**teacher, "file": "fp32 in ONNX Runtime"},
        "post_training": [asdict(row) for row in teacher_alone],
        "int4": four_bit,
        "goals": judged(GOALS[options.workload], ours, teacher_alone, teacher, four_bit),
        "study": {"seconds": seconds, "outcomes": outcomes, "counters": dict(record.counters)},
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "environment": dict(environment(packages())),
    }


def show(found: Mapping[str, Any]) -> None:
    """A line for what the study recommends, for each form of the teacher alone, and for each goal."""
    print("size     latency  points lost  candidate")
    for row in (found, *found["post_training"]):
        size, latency = 1 / row["size_ratio"], 1 / row["latency_ratio"]
        print(f"1/{size:<6.3g} 1/{latency:<6.3g} {row['accuracy_drop_points']:+11.2f}  {row['candidate']}")
    for goal in found["goals"]:
        print(f"{'met' if goal['met'] else 'MISSED'}: {goal['goal']}: {goal['found']}")


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--workload", choices=sorted(GOALS), required=True)
    parser.add_argument("--data", type=Path, help="where the workload's data lie; see the example's file")
    parser.add_argument("--work", type=Path, default=Path(".paretune/compression"), help="runs and store")
    return finish(compressed, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
