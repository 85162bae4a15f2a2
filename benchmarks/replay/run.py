"""How few trainings a search needs: a real table as the objective, by the real driver, in simulated time.

Every row is one architecture. A "training" reveals its accuracy, a "measurement" its latency on the device.
The limit is the device's median latency. Scored is the hypervolume between what was trained so far and the
reference point (20 points under the best accuracy, the limit), in plain units, as a share of the true
front's; rows over the limit are worth nothing. Printed: trainings until 90 % and 95 % of it, median and
quartiles over seeds, and how many times fewer ours needs than the best of Optuna's own samplers.

A search begins with an uncompressed teacher. The slowest row that is less than 20 points worse than the
best stands in for it: real numbers, the same for every sampler, counted as no training and worth nothing.

    python -m benchmarks.replay.run --table nas201_hardware.csv.gz --seeds 20 --out replay.json

The table is a csv file, compressed or not. A column `arch` in NAS-Bench-201 notation becomes one axis per
edge; otherwise each column that is no metric is an axis. By default accuracy is `cifar10_valid` (a search
sees validation, never test), and each column that begins with `latency_ms_` is a device. Columns that begin
with `proxy_`, in the table or in --features FILE (with the same key columns), are zero-cost proxies: they are
told when an architecture is measured. What a cell's structure tells is known at once. With --curve a
training has milestones, where the table has accuracies after fewer epochs; the last column is its end. The
budget is in whole trainings. Runs are kept beside --out in FILE.parts and not run again, unless
`--fresh SAMPLER,...` asks for it.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch, which the Gaussian process needs, is loaded

from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler
from paretune.profiles.errors import UserError

from benchmarks.command import check_names, finish, names, parser_of
from benchmarks.replay.curves import columns_of_curve
from benchmarks.replay.proxies import PREFIX as PROXY
from benchmarks.replay.table import load_problem, read_table
from benchmarks.simulation.runs import Job, Run, digest_of, run_all
from benchmarks.simulation.search import (
    ABLATIONS,
    DRIVEN,
    OURS,
    DrivenSearch,
    Holdings,
    Way,
    tpe,
    without_gate,
)
from benchmarks.simulation.summary import Figures, best_of, curve, figures, print_reached, quartiles, reaching

PREFIX = "latency_ms_"
GOALS = (0.90, 0.95)
TRIALS_PER_TRAINING = 40
"""A search that trains less than one candidate in so many trials is ended."""
POPULATION = 20
"""NSGA-II's. Optuna's 50 would leave it two generations of 100 trainings."""
STEP, TIMES = 5, 20
"""Curves are given after so many trainings each, and at so many times."""

OPTUNAS_OWN: dict[str, type[BaseSampler] | Any] = {
    "random": RandomSampler,
    "nsga2": partial(NSGAIISampler, population_size=POPULATION),
    "tpe": tpe,
    "gp": GPSampler,
}
SAMPLERS: dict[str, Way] = {
    **{name: without_gate(lambda seed, make=make: make(seed=seed)) for name, make in OPTUNAS_OWN.items()},
    **DRIVEN,
    **ABLATIONS,
}


def search(*, strategy: str, seed: int, budget: int, **problem: Any) -> Run:
    """One search of so many trainings; `problem` is what `load_problem` takes."""
    table = load_problem(**problem)
    trials = budget * TRIALS_PER_TRAINING

    def enough(holdings: Holdings) -> bool:
        return holdings.evaluator.whole_trainings >= budget

    return DrivenSearch(table, SAMPLERS[strategy], seed, trials=trials, enough=enough).run()


def summary(jobs: Sequence[Job], runs: Sequence[Run], budget: int) -> dict[str, dict[str, Figures]]:
    """Device -> sampler -> figures, lists with one entry per seed in order."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for job, run in zip(jobs, runs, strict=True):
        device = job["latency"].removeprefix(PREFIX) or job["latency"]
        groups.setdefault((device, job["strategy"]), []).append(run)
    found: dict[str, dict[str, Figures]] = {}
    for (device, sampler), group in groups.items():
        last = max(run["seconds"] for run in group)
        times = [round(last * (index + 1) / TIMES, 1) for index in range(TIMES)]
        found.setdefault(device, {})[sampler] = {
            **figures(group, GOALS),
            "curve": curve(group, "trainings", range(STEP, budget + 1, STEP)),
            "curve_seconds": curve(group, "seconds", times),
        }
    return found


def show(found: dict[str, dict[str, Figures]], budget: int) -> None:
    """Medians and quartiles for each device and sampler, then the comparison."""
    for goal in GOALS:
        lines = {f"{device} {name}": told for device, each in found.items() for name, told in each.items()}
        print_reached(lines, goal, ("trainings", "epochs", "measured"))
        compared = {d: times_fewer(each, reaching(goal, "trainings"), budget) for d, each in found.items()}
        for device, (times, name, least) in compared.items():
            print(f"  {device:16} {OURS} needs {'at least ' * least}{times:.2f} times fewer than {name}")
        print(f"  median device    {quartiles(times for times, _, _ in compared.values())[1]:.2f}")


def times_fewer(found: dict[str, Figures], what: str, budget: int) -> tuple[float, str, bool]:
    """How many times fewer trainings ours needs than the best of Optuna's own (0: it did not get there), the
    name of that one, and whether it is only a lower bound since none of these got there."""
    name, best = best_of(found, OPTUNAS_OWN, what)
    _, ours = best_of(found, [OURS], what)
    return min(best, budget + 1) / ours, name, math.isinf(best)


def replay(options: argparse.Namespace) -> dict[str, dict[str, Figures]]:
    jobs = _jobs(options)
    table = digest_of(*filter(None, (options.table, options.features)))
    runs = run_all(search, jobs, out=options.out, table=table, fresh=options.fresh, workers=options.jobs)
    return summary(jobs, runs, options.budget)


def _jobs(options: argparse.Namespace) -> list[Job]:
    check_names("sampler", (*options.samplers, *options.fresh), SAMPLERS)
    if options.curve:
        options.accuracy = options.curve[-1][1]
    columns = list(read_table(options.table, (options.accuracy,)).columns)
    latencies = options.latency or [name for name in columns if name.startswith(PREFIX)]
    if not latencies:
        raise UserError("no column holds a latency", accepted=f"--latency, or columns named {PREFIX}DEVICE")
    if options.features:
        read_table(options.features, ())  # that it can be read is known before the searches
    metrics = {options.accuracy, *latencies, *options.ignore}
    if "arch" in columns:  # then nothing else is an axis
        metrics |= {name for name in columns if name != "arch" and not name.startswith(PROXY)}
    features = {"features": options.features} if options.features else {}
    features |= {"curve": options.curve} if options.curve else {}
    # Seed by seed, so that an interrupted benchmark has some of everything.
    return [
        {
            "path": options.table,
            "accuracy": options.accuracy,
            "latency": latency,
            "others": tuple(sorted(metrics - {options.accuracy, latency})),
            "budget": options.budget,
            "strategy": sampler,
            "seed": seed,
            **features,
        }
        for sampler in options.samplers
        for seed in range(options.seeds)
        for latency in latencies
    ]


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--accuracy", default="cifar10_valid", metavar="COLUMN")
    parser.add_argument("--latency", type=names, default=[], metavar="COLUMN,...")
    parser.add_argument("--ignore", type=names, default=[], metavar="COLUMN,...", help="no axes, no metrics")
    parser.add_argument(
        "--features", type=Path, metavar="FILE", help="has columns proxy_... of the same rows"
    )
    parser.add_argument(
        "--curve", type=columns_of_curve, default=(), metavar="EPOCHS:COLUMN,...", help="the last is the end"
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument(
        "--samplers",
        type=names,
        default=[name for name in SAMPLERS if name not in ABLATIONS],
        metavar="NAME,...",
    )
    parser.add_argument("--budget", type=int, default=100, help="trainings per search")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--fresh", type=names, default=[], metavar="NAME,...", help="samplers to run anew")
    options = parser.parse_args(argv)
    return finish(replay, options, lambda found: show(found, options.budget))


if __name__ == "__main__":
    sys.exit(main())
