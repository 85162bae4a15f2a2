"""How far a shipped example's model is compressed, against the teacher as fp32 in ONNX Runtime, on `test`.

Runs the example's own study as a user would, then measures what it recommends in the same rounds as the
teacher and as every form that post-training quantization alone gives of the teacher, and scores all of them
on the test split in their own runtimes. For 4-bit weights it also compares post-training quantization with
quantization-aware training of the students that the study trained.

    python -m benchmarks.compression.run --workload NAME --out FILE.json [--data PATH] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from paretune.backends.measure.environment import environment
from paretune.reports.terminal.console import ConsoleProgress
from paretune.search.ranking.reading import read
from paretune.search.record.evaluation import StudyRecord
from paretune.search.run.session import run_study
from rich.console import Console

from benchmarks.compression.goals import GOALS, judged
from benchmarks.compression.int4 import four_bit_rows
from benchmarks.compression.measure import Row, measured, opened

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
    print(answer.headline, file=sys.stderr)
    with opened(study) as bench:
        ours, teacher_alone = measured(bench, record, answer.recommended)
        four_bit = four_bit_rows(bench, record)
    return {
        "workload": options.workload,
        "verdict": [answer.headline, *answer.lines],
        **_row(ours),
        "teacher": {**bench.teacher, "file": "fp32 in ONNX Runtime"},
        "post_training": [_row(row) for row in teacher_alone],
        "int4": four_bit,
        **judged(GOALS[options.workload], ours, teacher_alone, bench.teacher, four_bit),
        "study": _account(record, seconds),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "environment": dict(environment()),
    }


def _row(row: Row) -> dict[str, Any]:
    return {
        "candidate": row.title,
        "size_ratio": row.size_ratio,
        "latency_ratio": row.latency_ratio,
        "latency_ratio_interval": row.latency_interval,
        "accuracy_drop_points": row.drop_points,
        "accuracy_drop_interval": row.drop_interval,
        "accuracy": row.accuracy,
        "size_bytes": row.size_bytes,
        "latency_ms": row.latency_ms,
        "side_effects": row.side_effects,
    }


def _account(record: StudyRecord, seconds: float) -> dict[str, Any]:
    outcomes: dict[str, int] = {}
    for trial in record.trials:
        name = trial.evaluation.outcome.value
        outcomes[name] = outcomes.get(name, 0) + 1
    return {"seconds": seconds, "outcomes": outcomes, "counters": dict(record.counters)}


def table(found: Mapping[str, Any]) -> str:
    """A line for what the study recommends and for each form of the teacher alone."""
    lines = ["size     latency  points lost  candidate"]
    rows: Sequence[Mapping[str, Any]] = [found, *found["post_training"]]
    for row in rows:
        size, latency = 1 / row["size_ratio"], 1 / row["latency_ratio"]
        lines.append(
            f"1/{size:<6.3g} 1/{latency:<6.3g} {row['accuracy_drop_points']:+11.2f}  {row['candidate']}"
        )
    lines += [
        f"{'met' if goal['met'] else 'MISSED'}: {goal['goal']}: {goal['found']}" for goal in found["goals"]
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workload", choices=sorted(GOALS), required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="where the workload's data lie; see the example's file")
    parser.add_argument("--work", type=Path, default=Path(".paretune/compression"), help="runs and store")
    options = parser.parse_args()
    found = compressed(options)
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
