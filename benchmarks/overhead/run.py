"""What the search itself takes: seconds per proposal, and the driver's share of a real study.

Time per proposal: studies are told 100, 1,000 and 10,000 trials (each through evaluator, gate and
`StudyStore.tell`, as a real study writes them), then the driver goes on in them. Measured is all from the end
of a trial until the candidate that is trained next is known; for ours the measurements that it asks for are
answered at once, and what the gate stops on the way counts as well. `first` is the first proposal after a
resume, in which ours takes in every trial.

Two made-up searches: `deployment` (18,850 candidates: students, sparsity, recipe, precision, calibration, two
backends; accuracy, latency and size) and `architectures` (15,625; accuracy and latency).

Share of the driver: the digits example with a store of its own. All but training, exporting, compiling,
scoring and measuring counts as the driver. Left out are imports, checks of the workload, the teacher's
training and the finalists.

    python -m benchmarks.overhead.run --out overhead.json

`--parts proposals,share` runs some of it; what --out has of the other is kept.
"""

from __future__ import annotations

import argparse
import os
import sys
from statistics import median_high
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy and torch are loaded

from benchmarks.command import check_names, finish, names, parser_of, read_figures, sizes
from benchmarks.overhead.made_up import TABLES
from benchmarks.overhead.proposals import NAMES, growth, time_proposals
from benchmarks.overhead.share import share_of_driver
from benchmarks.simulation.search import OURS

GOAL_SECONDS, GOAL_AT = 0.050, 1000
GOAL_SHARE = 0.02
GOAL_GROWTH = 1.2
"""The most that counts as near to linear."""
PARTS = ("proposals", "share")


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The parts that were asked for, beside those that were run before."""
    check_names("part", options.parts, PARTS)
    check_names("task", options.tasks, TABLES)
    check_names("sampler", options.samplers, NAMES)
    found = read_figures(options.out)
    if "proposals" in options.parts:
        found["proposals"] = {name: _proposals(name, options) for name in options.tasks}
    if "share" in options.parts:
        found["share"] = [share_of_driver(options.trials) for _ in range(options.studies)]
    found["goals"] = goals(found)
    return found


def _proposals(name: str, options: argparse.Namespace) -> dict[str, Any]:
    table = TABLES[name]()
    taken = time_proposals(
        table, options.sizes, options.samplers, rounds=options.rounds, repeats=options.repeats
    )
    power = {}
    if len(options.sizes) > 1:
        power = {sampler: growth(found, *options.sizes[-2:]) for sampler, found in taken.items()}
    return {"candidates": table.space.size, "samplers": taken, "growth": power}


def goals(found: dict[str, Any]) -> dict[str, Any]:
    """Each goal with what was measured and whether it is met; only those that were measured."""
    told: dict[str, Any] = {}
    for task, part in found.get("proposals", {}).items():
        at = part["samplers"].get(OURS, {}).get(str(GOAL_AT))
        if at:
            told[f"{task}: seconds per proposal at {GOAL_AT} trials"] = _goal(at["propose_s"], GOAL_SECONDS)
        if OURS in part["growth"]:
            power = part["growth"][OURS]
            told[f"{task}: power of growth with the trials"] = _goal(power, GOAL_GROWTH)
    if found.get("share"):
        share = median_high(study["driver_share"] for study in found["share"])
        told["share of the driver"] = _goal(share, GOAL_SHARE)
    return told


def _goal(measured: float, goal: float) -> dict[str, Any]:
    return {"measured": measured, "goal": goal, "met": measured <= goal}


def show(found: dict[str, Any]) -> None:
    for task, part in found.get("proposals", {}).items():
        print(f"\nMilliseconds per proposal, {task} ({part['candidates']} candidates): median (processor's)")
        for name, taken in part["samplers"].items():
            power = part["growth"].get(name)
            print(f"  {name}" + (f", grows with the power {power:.2f}" if power is not None else ""))
            for size, one in taken.items():
                wall, cpu, first = (1e3 * one[key] for key in ("propose_s", "cpu_s", "first_s"))
                print(f"    {size:>6} trials: {wall:8.1f} ({cpu:.1f}); first after a resume {first:.0f}")
    for study in found.get("share", ()):
        stages = [f"{name} {seconds:.1f} s" for name, seconds in sorted(study["stages_s"].items())]
        share, each = 100 * study["driver_share"], 1e3 * study["driver_per_trial_s"]
        print(f"\nDigits, {study['trials']} trials in {study['wall_s']:.1f} s, of which the driver took")
        print(f"  {study['driver_s']:.2f} s: {share:.1f} %, {each:.0f} ms a trial; the stages:")
        print(f"  {', '.join(stages)}")
    print()
    for what, goal in found["goals"].items():
        verdict = "met   " if goal["met"] else "MISSED"
        print(f"{verdict} {what}: {goal['measured']:.3g}, goal {goal['goal']:g}")


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--parts", type=names, default=list(PARTS), metavar="NAME,...")
    parser.add_argument("--tasks", type=names, default=list(TABLES), metavar="NAME,...")
    parser.add_argument("--samplers", type=names, default=list(NAMES), metavar="NAME,...")
    parser.add_argument("--sizes", type=sizes, default=[100, 1000, 10_000], metavar="TRIALS,...")
    parser.add_argument("--rounds", type=int, default=7, help="timed proposals per repeat")
    parser.add_argument("--repeats", type=int, default=3, help="studies per size")
    parser.add_argument("--trials", type=int, default=12, help="budget of the real study")
    parser.add_argument("--studies", type=int, default=1, help="real studies; the median share counts")
    return finish(run, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
