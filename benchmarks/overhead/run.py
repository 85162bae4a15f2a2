"""What the search itself takes: seconds per proposal, and the driver's share of a real study.

Time per proposal: studies are told 100, 1,000 and 10,000 trials (each through evaluator, gate and
`StudyStore.tell`, as a real study writes them), then asked for more. Measured is all from "what next?" until
the candidate is known; for ours the measurements that it asks for are answered at once, and what the gate
stops on the way counts as well. The samplers take turns, so that a busy machine troubles all alike. `first`
is the first proposal after a resume, in which ours takes in every trial.

Two made-up searches: `deployment` (18,850 candidates: students, sparsity, recipe, precision, calibration, two
backends; accuracy, latency and size) and `architectures` (15,625; accuracy and latency). Optuna's GPSampler
models only parameters that every trial has, so in `deployment` it models two; `architectures` has no others.

Share of the driver: the digits example with a store of its own. All but training, exporting, compiling,
scoring and measuring counts as the driver. Left out are imports, checks of the workload, the teacher's
training and the finalists. Its bookkeeping in a long study is timed apart, on SQLite with evaluations that
cost nothing.

    python -m benchmarks.overhead.run --out overhead.json

`--parts proposals,bookkeeping,share` runs some of it; what --out has of the others is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are loaded

from paretune.profiles.errors import ParetuneError, UserError

from benchmarks.overhead.driver import share_of_driver, time_bookkeeping
from benchmarks.overhead.proposals import NAMES, OURS, growth, time_proposals
from benchmarks.overhead.tasks import TASKS

GOAL_SECONDS, GOAL_AT = 0.050, 1000
GOAL_SHARE = 0.02
GOAL_GROWTH = 1.2
"""The most that counts as near to linear."""
PARTS = ("proposals", "bookkeeping", "share")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The parts that were asked for, beside those that were run before."""
    _check(options)
    found = _kept(options.out)
    found["about"] = {
        "cpus": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    if "proposals" in options.parts:
        found["proposals"] = {name: _proposals(name, options) for name in options.tasks}
    if "bookkeeping" in options.parts:
        task = TASKS["deployment"]()
        sizes = [size for size in options.sizes if size <= options.most_kept]
        found["bookkeeping"] = {
            sampler: time_bookkeeping(task, sizes, trials=options.rounds, sampler=sampler)
            for sampler in ("random", OURS)
        }
    if "share" in options.parts:
        found["share"] = [share_of_driver(options.trials) for _ in range(options.studies)]
    found["goals"] = goals(found)
    return found


def _check(options: argparse.Namespace) -> None:
    accepted = {"parts": PARTS, "tasks": tuple(TASKS), "samplers": NAMES}
    for what, names in accepted.items():
        unknown = [name for name in getattr(options, what) if name not in names]
        if unknown:
            raise UserError(f"unknown in --{what}", found=", ".join(unknown), accepted=", ".join(names))


def _kept(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _proposals(name: str, options: argparse.Namespace) -> dict[str, Any]:
    task = TASKS[name]()
    taken = time_proposals(
        task, options.sizes, options.samplers, rounds=options.rounds, repeats=options.repeats
    )
    few, many = sorted(options.sizes)[-2:] if len(options.sizes) > 1 else (0, 0)
    return {
        "candidates": task.space.size,
        "samplers": taken,
        "growth": {
            "from": few,
            "to": many,
            "power": {sampler: growth(found, few, many) for sampler, found in taken.items()} if many else {},
        },
    }


def goals(found: dict[str, Any]) -> dict[str, Any]:
    """Each goal with what was measured and whether it is met; only those that were measured."""
    told: dict[str, Any] = {}
    for task, part in found.get("proposals", {}).items():
        ours = part["samplers"].get(OURS, {})
        at = ours.get(str(GOAL_AT))
        if at and at["propose_s"] is not None:
            told[f"{task}: seconds per proposal at {GOAL_AT} trials"] = _goal(at["propose_s"], GOAL_SECONDS)
        power = part["growth"]["power"].get(OURS)
        if power is not None:
            told[f"{task}: power of growth with the trials"] = _goal(power, GOAL_GROWTH)
    if found.get("share"):
        shares = sorted(study["driver_share"] for study in found["share"])
        told["share of the driver"] = _goal(shares[len(shares) // 2], GOAL_SHARE)
    return told


def _goal(measured: float, goal: float) -> dict[str, Any]:
    return {"measured": measured, "goal": goal, "met": measured <= goal}


# -- what is printed -----------------------------------------------------------------------------------------


def print_tables(found: dict[str, Any]) -> None:
    """All figures as text."""
    for task, part in found.get("proposals", {}).items():
        _print_proposals(task, part)
    for sampler, sizes in found.get("bookkeeping", {}).items():
        print(f"\nA trial of the driver on SQLite, {sampler}, evaluations for nothing")
        for size, taken in sizes.items():
            rest = [f"{taken[name]:.2f} s" for name in ("open_s", "first_s", "end_s")]
            print(
                f"  after {size:>6}: {1e3 * taken['trial_s']:8.1f} ms a trial; "
                f"{rest[0]} to open, {rest[1]} until the first, {rest[2]} after the last"
            )
    for study in found.get("share", ()):
        stages = [f"{name} {seconds:.1f} s" for name, seconds in sorted(study["stages_s"].items())]
        share, each = 100 * study["driver_share"], 1e3 * study["driver_per_trial_s"]
        print(f"\nDigits, {study['trials']} trials in {study['wall_s']:.1f} s, of which the driver took")
        print(f"  {study['driver_s']:.2f} s: {share:.1f} %, {each:.0f} ms a trial; the stages:")
        print(f"  {', '.join(stages)}")
    print()
    for what, goal in found.get("goals", {}).items():
        print(
            f"{'met   ' if goal['met'] else 'MISSED'} {what}: {goal['measured']:.3g}, goal {goal['goal']:g}"
        )


def _print_proposals(task: str, part: dict[str, Any]) -> None:
    samplers = part["samplers"]
    sizes = list(next(iter(samplers.values()), {}))
    print(
        f"\nMilliseconds per proposal, {task} ({part['candidates']} candidates): median/processor's; "
        "first after a resume in ()"
    )
    print(f"{'':22}" + "".join(f"{size + ' trials':>22}" for size in sizes) + f"{'growth':>10}")
    for name, taken in samplers.items():
        power = part["growth"]["power"].get(name)
        cells = "".join(f"{_cell(taken[size]):>22}" for size in sizes)
        print(f"{name:22}{cells}{'' if power is None else f'{power:.2f}':>10}")


def _cell(taken: dict[str, Any]) -> str:
    first = f"({1e3 * taken['first_s']:.0f})" if taken["first_s"] is not None else ""
    if taken["propose_s"] is None:
        return f"- {first}".strip()
    cpu = f"/{1e3 * taken['cpu_s']:.1f}" if taken.get("cpu_s") is not None else ""
    return f"{1e3 * taken['propose_s']:.1f}{cpu} {first}"


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    options = _parser().parse_args(argv)
    try:
        found = run(options)
    except ParetuneError as error:
        print(error, file=sys.stderr)
        return 1
    options.out.parent.mkdir(parents=True, exist_ok=True)
    aside = options.out.with_name(options.out.name + ".new")
    aside.write_text(json.dumps(found, indent=1) + "\n")
    aside.replace(options.out)
    print_tables(found)
    print(f"written: {options.out}")
    return 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _sizes(text: str) -> list[int]:
    return sorted(int(name) for name in _names(text))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--parts", type=_names, default=list(PARTS), metavar="NAME,...")
    parser.add_argument("--tasks", type=_names, default=list(TASKS), metavar="NAME,...")
    parser.add_argument("--samplers", type=_names, default=list(NAMES), metavar="NAME,...")
    parser.add_argument("--sizes", type=_sizes, default=[100, 1000, 10_000], metavar="TRIALS,...")
    parser.add_argument("--rounds", type=int, default=7, help="timed proposals per repeat")
    parser.add_argument("--repeats", type=int, default=3, help="studies per size")
    parser.add_argument("--most-kept", type=int, default=1000, help="largest study of the bookkeeping")
    parser.add_argument("--trials", type=int, default=12, help="budget of the real study")
    parser.add_argument("--studies", type=int, default=1, help="real studies; the median share counts")
    return parser


if __name__ == "__main__":
    sys.exit(main())
