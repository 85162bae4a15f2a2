"""The digits job by three tools at equal wall time: ours, a plain Optuna script, and Microsoft Olive 0.13.

All get the teacher trained, and the same seconds for everything else. What each tool then has on the front
of its own validation numbers is scored by one harness on the test split (`peers/scoring.py`): the share of
the box from 5 points under the teacher's accuracy to 1, from nothing to the fp32 teacher's latency and size.
Olive runs twice: on the teacher alone, which is all it can express, and on students that are trained beside
it within the same seconds. Its environment is made below --work, from PyPI, by peers/olive_requirements.txt.

    python -m benchmarks.peers.run --out FILE.json [--seconds 180] [--repeats 3] [--work DIR]
        [--tools ours,optuna,olive,olive-students] [--sampler NAME]
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paretune.backends.measure.environment import environment
from paretune.backends.registry import packages

from benchmarks.peers.scoring import own_front, score
from benchmarks.peers.setup import Setup, olive_python, set_up
from benchmarks.peers.tools import NOT_EXPRESSED, TOOLS, Result, last_words


def one(tool: str, setup: Setup, folder: Path, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """Run a tool once and score what it found."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    begun = time.perf_counter()
    try:
        result = TOOLS[tool](setup, folder, options.seconds, seed, options.sampler)
    except Exception as error:  # a tool that does not run is a result too
        said = last_words(folder / "output.log")
        result = Result(failures=[f"{type(error).__name__}: {error}\n{said}"])
    result.seconds = time.perf_counter() - begun
    test = setup.job.splits.test
    found = score(own_front(result.candidates), setup.box, test.inputs["image"], test.labels, seed)
    return {
        "hypervolume": found.hypervolume,
        "interval": found.interval,
        "candidates": len(result.candidates),
        "front": len(found.points),
        "trainings": result.trainings,
        "training_seconds": result.training_seconds,
        "seconds": result.seconds,
        "failures": result.failures + found.failures,
        "teacher_ms": found.teacher_ms,
        "points": found.points,
    }


def run(options: argparse.Namespace) -> dict[str, Any]:
    """All tools, in a new order in every repeat, so that a machine that slows down slows each of them."""
    work = options.work.resolve()
    setup = set_up(work)
    tools = options.tools.split(",")
    if any(tool.startswith("olive") for tool in tools):
        olive_python(work)
    repeats: dict[str, list[dict[str, Any]]] = {tool: [] for tool in tools}
    for seed in range(options.repeats):
        for tool in tools[seed % len(tools) :] + tools[: seed % len(tools)]:
            repeats[tool].append(one(tool, setup, work / f"{tool}-{seed}", seed, options))
            print(f"{tool}, seed {seed}: {repeats[tool][-1]['hypervolume']:.4f}", file=sys.stderr, flush=True)
    return {
        **{tool: _summary(tool, rows) for tool, rows in repeats.items()},
        "teacher": {"test_accuracy": setup.box.accuracy, "size_bytes": setup.box.size_bytes},
        "seconds": options.seconds,
        "sampler": options.sampler or "the default",
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "environment": dict(environment(packages())),
    }


def _summary(tool: str, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Lists with one value per repeat."""
    lists = {key: [row[key] for row in rows] for key in rows[0]}
    return {
        "hypervolume": lists.pop("hypervolume"),
        "median": statistics.median(row["hypervolume"] for row in rows),
        **lists,
        "not_expressed": NOT_EXPRESSED[tool],
    }


def table(found: Mapping[str, Any], tools: Sequence[str]) -> str:
    """The figures that matter, a line per tool; medians, but for the range of the hypervolume.

    "test images" is half of the interval that another draw of test images would give.
    """
    lines = [
        "tool             hypervolume (range)       test images  "
        "candidates  front  trainings  training s  failures"
    ]
    for tool in tools:
        one = found[tool]
        low, high = min(one["hypervolume"]), max(one["hypervolume"])
        numbers = [statistics.median(one[key]) for key in ("candidates", "front", "trainings")]
        trained, failed = statistics.median(one["training_seconds"]), sum(map(len, one["failures"]))
        counts = f"{numbers[0]:11g} {numbers[1]:6g} {numbers[2]:10g} {trained:11.1f} {failed:9d}"
        images = statistics.median((b - a) / 2 for a, b in one["interval"])
        lines.append(f"{tool:16s} {one['median']:.4f} ({low:.4f}-{high:.4f})    +-{images:.4f} {counts:>52s}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--work", type=Path, default=Path(".paretune/peers"), help="runs and environments")
    parser.add_argument("--tools", default=",".join(TOOLS), help="some of " + ", ".join(TOOLS))
    parser.add_argument("--sampler", help="of our study; left out, its default")
    options = parser.parse_args()
    unknown = set(options.tools.split(",")) - set(TOOLS)
    if unknown or options.repeats < 1:
        parser.error(f"unknown tools: {', '.join(sorted(unknown))}" if unknown else "at least one repeat")
    found = run(options)
    options.out.write_text(json.dumps(found, indent=1) + "\n")
    print(table(found, options.tools.split(",")))
    print(f"written to {options.out}")


if __name__ == "__main__":
    main()
