"""A whole job by several tools at equal wall time: ours, a plain Optuna script, and Microsoft Olive 0.13.

    python -m benchmarks.peers.run --job digits|trec|spoken-digits [--data PATH] --out FILE.json
        [--repeats 3] [--side-by-side] [--tools ours,optuna,olive,olive-students] [--seconds S] [--work DIR]

Each tool starts from the same trained teacher and gets the same seconds from the start of its process on: 60
for digits, 600 for the others, whose data --data names. One harness then scores what was on the front of the
tool's own validation numbers, at every moment (`peers/scoring.py`, `peers/courses.py`), on the test split:
the share of the box from 5 points under the teacher's accuracy to 1, from nothing to the fp32 teacher's
latency and size. `--side-by-side` runs two tools at a time, each on a core of its own, and swaps the cores
in every repeat: half the time, and what disturbs the machine disturbs both.

Runs are kept beside --out in FILE.runs and not run again; a killed run begins anew. Set-ups and Olive's
environment (from PyPI, by peers/olive_requirements.txt) lie in --work. Olive runs twice: on the teacher
alone, which is all it can express, and on students that are trained beside it within the same seconds.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.command import check_names, finish, names, parser_of, tell, whole
from benchmarks.peers.bench import Bench, cores_of
from benchmarks.peers.courses import Course, compared, draws_of, volume_interval
from benchmarks.peers.jobs import JOBS, set_up, study_of
from benchmarks.peers.scoring import Scored, told
from benchmarks.peers.tools import TOOLS, Result, olive_python

TITLES = ("candidates", "front", "trainings", "training_seconds", "failures")
SHARES = (0.1, 0.25, 1 / 3, 0.5, 0.75, 1.0)
OURS = "ours"


def figures(result: Result, course: Course, scored: Scored, seconds: float, draws: Any) -> dict[str, Any]:
    """What is told of one run."""
    final = course.front_at(seconds)
    return {
        "hypervolume": course.volume_at(seconds),
        "interval": volume_interval(course, draws),
        "hypervolume_at": {f"{share:.2f}": course.volume_at(share * seconds) for share in SHARES},
        "course": course.steps(),
        "candidates": len(result.candidates),
        "front": len(final),
        "trainings": result.trainings,
        "training_seconds": result.training_seconds,
        "stages": result.stages,
        "failures": [*result.failures, *scored.failures.values()],
        "teacher_ms": scored.teacher_ms,
        "points": [told(result.candidates[place], course.points[place]) for place in final],
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All tools. Lists have one value per repeat."""
    check_names("tool", options.tools, TOOLS)
    cores = cores_of(side_by_side=options.side_by_side)
    work = options.work.resolve()
    setup = set_up(study_of(JOBS[options.job], options.data), work / options.job)
    if any(tool.startswith("olive") for tool in options.tools):
        olive_python(work)
    seconds = options.seconds or setup.seconds
    runs = options.out.resolve().with_suffix(".runs")
    bench = Bench(setup=setup, seconds=seconds, runs=runs, cores=cores)
    draws = draws_of(len(setup.test.labels), seed=0)
    rows: dict[str, list[dict[str, Any]]] = {tool: [] for tool in options.tools}
    courses: dict[str, list[Course]] = {tool: [] for tool in options.tools}
    for seed in range(options.repeats):
        results = bench.results(options.tools, seed)
        for tool, (course, scored) in bench.courses(results, seed).items():
            courses[tool].append(course)
            rows[tool].append(figures(results[tool], course, scored, seconds, draws))
            tell(f"{tool}, repeat {seed}: {rows[tool][-1]['hypervolume']:.4f}")
    others = [tool for tool in options.tools if tool != OURS] if OURS in options.tools else []
    return {
        "job": options.job,
        "seconds": seconds,
        "side_by_side": options.side_by_side,
        "space": setup.study["space"],
        "teacher": {"test_accuracy": setup.box.accuracy, "size_bytes": setup.box.size_bytes},
        "tools": {tool: {key: [row[key] for row in mine] for key in mine[0]} for tool, mine in rows.items()},
        "ours_against": {tool: compared(courses[OURS], courses[tool], seconds, draws) for tool in others},
    }


def show(found: Mapping[str, Any]) -> None:
    """The figures that matter, a line per tool: the hypervolume's median and range, half of the interval that
    another draw of test rows would give, and medians of the rest, but for all failures; how it grew; and what
    is between ours and each other tool."""
    print(f"{'tool':16} {'hypervolume (range)':24} {'draw':9}" + "".join(f"{name:>18}" for name in TITLES))
    for tool, one in found["tools"].items():
        draw = median((high - low) / 2 for low, high in one["interval"])
        counts = [median(one[name]) for name in TITLES[:-1]] + [sum(map(len, one["failures"]))]
        print(
            f"{tool:16} {_spread(one['hypervolume']):24} +-{draw:.4f}  "
            + "".join(f"{c:18.6g}" for c in counts)
        )
    print(f"\n{'after this share of the time':30}" + "".join(f"{share:>8.2f}" for share in SHARES))
    for tool, one in found["tools"].items():
        medians = [median(at[f"{share:.2f}"] for at in one["hypervolume_at"]) for share in SHARES]
        print(f"{tool:30}" + "".join(f"{volume:8.4f}" for volume in medians))
    for tool, one in found["ours_against"].items():
        low, high = one["interval"]
        shares = ", ".join("never" if share is None else f"{share:.2f}" for share in one["share_of_time"])
        print(f"\nours - {tool}: {one['mean_difference']:+.4f} ({low:+.4f} to {high:+.4f}), mean of repeats")
        print(f"its final hypervolume was ours, to stay, after this share of the time: {shares}")
    for stage, seconds in sorted(stages_of(found).items(), key=lambda pair: -pair[1]):
        print(f"ours: {stage:24} {seconds:8.1f} s ({seconds / found['seconds']:.0%})")


def _spread(values: list[float]) -> str:
    return f"{median(values):.4f} ({min(values):.4f}-{max(values):.4f})"


def stages_of(found: Mapping[str, Any]) -> dict[str, float]:
    """Medians of the seconds that ours spent in each stage."""
    rows = found["tools"].get(OURS, {}).get("stages", [])
    named = sorted({stage for row in rows for stage in row})
    return {stage: median(row.get(stage, 0.0) for row in rows) for stage in named}


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--job", choices=JOBS, default="digits")
    parser.add_argument("--data", type=Path, help="the job's data, where they are not part of a package")
    parser.add_argument("--seconds", type=float, help="for each tool, in place of the job's own")
    parser.add_argument("--repeats", type=whole(), default=3)
    parser.add_argument("--side-by-side", action="store_true", help="two tools at a time, a core each")
    parser.add_argument("--work", type=Path, default=Path(".paretune/peers"), help="set-ups, environments")
    parser.add_argument("--tools", type=names, default=list(TOOLS), metavar="NAME,...")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: no tool is left running
    return finish(run, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
