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
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from paretune.reports.terminal.console import ConsoleProgress
from paretune.search.ranking.reading import read
from paretune.search.run.session import run_study
from rich.console import Console

from benchmarks.command import finish, parser_of, tell
from benchmarks.compression.measure import Row, four_bit_rows, measured, opened

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """Of the teacher as fp32 in ONNX Runtime: it is to be so many times smaller and faster, and what accuracy
    may cost: points (`drop_points`), or what must be left as a share of the teacher's (`kept_share`)."""

    smaller: float
    faster: float
    drop_points: float = 0.0
    kept_share: float | None = None

    def least_accuracy(self, teacher: float) -> float:
        """The least accuracy that is allowed, for the teacher's on the same samples."""
        return teacher * self.kept_share if self.kept_share else teacher - self.drop_points / 100


GOALS = {
    "digits": Goal(smaller=80, faster=18, drop_points=0.5),
    "trec": Goal(smaller=15, faster=9, kept_share=0.98),
    "spoken_digits": Goal(smaller=15, faster=6, kept_share=0.99),
}
WON_BACK = 0.5  # of what plain 4-bit weights lose, where that is more than a point
WORTH_WINNING = 1.0
TRIFLE = 1e-6  # points: 85 % less 84 % is a little more than one in floating-point numbers
FOUR_BIT = (
    "training with fake quantization wins back half of what plain 4-bit weights lose, where above 1 point"
)


def judged(
    goal: Goal,
    ours: Row,
    teacher_alone: Sequence[Row],
    teacher: Mapping[str, float],
    four_bit: Sequence[Mapping[str, Any]],
) -> list[dict[str, Any]]:
    """Each goal with what was asked, what was found and whether it is met."""
    least = goal.least_accuracy(teacher["accuracy"])
    return [
        _at_most("size", goal.smaller, ours.size_ratio),
        _at_most("latency", goal.faster, ours.latency_ratio),
        _goal(
            f"accuracy at least {100 * least:.2f} %", f"{100 * ours.accuracy:.2f} %", ours.accuracy >= least
        ),
        _beats(ours, teacher_alone, least),
        _won_back(four_bit),
    ]


def _goal(goal: str, found: str, met: bool) -> dict[str, Any]:
    return {"goal": goal, "found": found, "met": bool(met)}


def _at_most(what: str, times: float, ratio: float) -> dict[str, Any]:
    return _goal(f"{what} at most 1/{times:.3g}", f"1/{1 / ratio:.3g}", ratio <= 1 / times)


def _beats(ours: Row, teacher_alone: Sequence[Row], least: float) -> dict[str, Any]:
    """Smaller and faster than every form of the teacher alone that is accurate enough."""
    rivals = [row for row in teacher_alone if row.accuracy >= least]
    if not rivals:
        return _goal("smaller and faster than the teacher quantized alone", "none is accurate enough", True)
    small, fast = min(r.size_ratio for r in rivals), min(r.latency_ratio for r in rivals)
    return _goal(
        "smaller and faster than the teacher quantized alone, where that is accurate enough",
        f"its smallest is 1/{1 / small:.3g}, its fastest 1/{1 / fast:.3g}",
        ours.size_ratio < small and ours.latency_ratio < fast and ours.accuracy >= least,
    )


def _won_back(four_bit: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Over all models together, so that one lucky model does not decide."""
    losers = [row for row in four_bit if row["lost_points"] > WORTH_WINNING + TRIFLE]
    if not losers:
        return _goal(FOUR_BIT, "no model loses more than a point, so there is nothing to win back", True)
    lost, won = (sum(row[name] for row in losers) for name in ("lost_points", "won_points"))
    each = ", ".join(f"{row['won_points']:.1f} of {row['lost_points']:.1f}" for row in losers)
    return _goal(FOUR_BIT, f"{100 * won / lost:.0f} % ({each} points)", won >= WON_BACK * lost)


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
