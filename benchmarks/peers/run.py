"""The digits job by three tools at equal wall time: ours, a plain Optuna script, and Microsoft Olive 0.13.

All get the teacher trained, and the same seconds for everything else. What each tool then has on the front
of its own validation numbers is scored by one harness on the test split (`peers/scoring.py`): the share of
the box from 5 points under the teacher's accuracy to 1, from nothing to the fp32 teacher's latency and size.
Olive runs twice: on the teacher alone, which is all it can express, and on students that are trained beside
it within the same seconds. Its environment is made below --work, from PyPI, by peers/olive_requirements.txt.

    python -m benchmarks.peers.run --out FILE.json [--seconds 180] [--repeats 3] [--work DIR]
        [--tools ours,optuna,olive,olive-students]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.command import check_names, finish, names, parser_of, tell
from benchmarks.peers.scoring import own_front, score
from benchmarks.peers.tools import TOOLS, Result, Setup, last_words, olive_python, set_up

TITLES = ("candidates", "front", "trainings", "training_seconds", "failures")


def one(tool: str, setup: Setup, folder: Path, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = time.perf_counter()
    try:
        result = TOOLS[tool](setup, folder, options.seconds, seed)
    except Exception as error:  # a tool that does not run is a result too
        said = last_words(folder / "output.log")
        result = Result(failures=[f"{type(error).__name__}: {error}\n{said}"])
    seconds = time.perf_counter() - begun
    test = setup.job.splits.test
    found = score(own_front(result.candidates), setup.box, test.inputs["image"], test.labels, seed)
    tell(f"{tool}, seed {seed}: {found.hypervolume:.4f}")
    return {
        "hypervolume": found.hypervolume,
        "interval": found.interval,
        "candidates": len(result.candidates),
        "front": len(found.points),
        "trainings": result.trainings,
        "training_seconds": result.training_seconds,
        "seconds": seconds,
        "failures": result.failures + found.failures,
        "teacher_ms": found.teacher_ms,
        "points": found.points,
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All tools, in a new order in every repeat, so that a machine that slows down slows each of them. Lists
    have one value per repeat."""
    check_names("tool", options.tools, TOOLS)
    work, tools = options.work.resolve(), options.tools
    setup = set_up(work)
    if any(tool.startswith("olive") for tool in tools):
        olive_python(work)
    rows: dict[str, list[dict[str, Any]]] = {tool: [] for tool in tools}
    for seed in range(options.repeats):
        for tool in tools[seed % len(tools) :] + tools[: seed % len(tools)]:
            rows[tool].append(one(tool, setup, work / f"{tool}-{seed}", seed, options))
    return {
        "tools": {tool: {key: [row[key] for row in mine] for key in mine[0]} for tool, mine in rows.items()},
        "teacher": {"test_accuracy": setup.box.accuracy, "size_bytes": setup.box.size_bytes},
        "seconds": options.seconds,
    }


def show(found: Mapping[str, Any]) -> None:
    """The figures that matter, a line per tool: the hypervolume's median and range, half of the interval that
    another draw of test images would give, and medians of the rest, but for all failures."""
    print(f"{'tool':16} {'hypervolume (range)':24} {'images':9}" + "".join(f"{name:>18}" for name in TITLES))
    for tool, one in found["tools"].items():
        volumes = one["hypervolume"]
        images = median((high - low) / 2 for low, high in one["interval"])
        counts = [median(one[name]) for name in TITLES[:-1]] + [sum(map(len, one["failures"]))]
        volume = f"{median(volumes):.4f} ({min(volumes):.4f}-{max(volumes):.4f})"
        print(f"{tool:16} {volume:24} +-{images:.4f}  " + "".join(f"{count:18.6g}" for count in counts))


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path(".paretune/peers"), help="runs and environments")
    parser.add_argument("--tools", type=names, default=list(TOOLS), metavar="NAME,...")
    return finish(run, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
