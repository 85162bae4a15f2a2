"""What many workers bring: recorded spaces, searched by 1 to 64 workers in simulated time.

    python -m benchmarks.parallel --seeds 20 --out parallel.json

The real driver of many workers, sampler and gate search the spaces in benchmarks/data, which are scored and
paid for as `benchmarks.exhaustive` says, with as many simulated workers as --workers names, each of which
takes one task at a time. What a training or a measurement took when it was recorded passes here in no time;
the milestones of trainings come at their own times and are judged as it is then. Measuring and scoring lease
one of as many devices as there are workers, or as --devices says.

Trainings are counted when they are begun, epochs (in whole trainings: 3 of 12 are 0.25) from milestone to
milestone when these are begun, so that what is under way when a goal is reached is paid for as well. Printed
are medians and quartiles over the seeds, what that is beside one worker, and the goals.

Runs are kept beside --out in FILE.parts and not run again, unless `--fresh hardware-first` asks for it.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

from benchmarks.command import finish, names, parser_of, sizes, whole
from benchmarks.exhaustive.run import DEAR, GOALS, MOST_TRIALS, enough
from benchmarks.exhaustive.table import ABOUT, POINTS, TRAININGS, load_recorded
from benchmarks.exhaustive.told import UNTRAINED
from benchmarks.simulation.runs import Run, digest_of, run_all
from benchmarks.simulation.search import DRIVEN, OURS, DrivenSearch
from benchmarks.simulation.summary import Figures, figures, print_reached, reaching

DATA = Path(__file__).resolve().parent / "data"
TABLES = ("digits", "trec", "spoken_digits")
WORKERS = (1, 2, 4, 8, 16, 32, 64)
GOAL_AT, MORE_TRAININGS, TIMES_SHORTER = 8, 0.15, 5.0
"""With so many workers at most so many more trainings than one needs; to the first goal in a time that is so
many times shorter, where trainings are dear."""


def search(*, table: Path, strategy: str, seed: int, workers: int, devices: int | None) -> Run:
    """One search; `devices` None: as many as workers."""
    recorded, way = load_recorded(table), DRIVEN[strategy]
    return DrivenSearch(
        recorded, way, seed, trials=MOST_TRIALS, enough=enough, workers=workers, devices=devices
    ).run()


def simulate(options: argparse.Namespace) -> dict[str, Any]:
    """Table -> number of workers -> figures, see `summary.figures`."""
    found: dict[str, Any] = {}
    for table in options.tables:
        folder = DATA / table if table in TABLES else Path(table)
        jobs = [
            {"table": folder, "strategy": OURS, "seed": seed, "workers": count, "devices": options.devices}
            for seed in range(options.seeds)
            for count in options.workers
        ]
        files = [folder / name for name in (POINTS, TRAININGS, ABOUT, UNTRAINED)]
        digest = digest_of(*filter(Path.exists, files))
        runs = run_all(search, jobs, out=options.out, table=digest, fresh=options.fresh, workers=options.jobs)
        apart = len(options.workers)
        found[folder.name] = {
            str(count): figures(runs[place::apart], GOALS) for place, count in enumerate(options.workers)
        }
    return found


def show(found: dict[str, Any]) -> None:
    """Medians and quartiles for each table and number of workers, and what that is beside one worker."""
    for table, by_count in found.items():
        if table == "about":
            continue
        print(f"\n{table}")
        lines = {f"{count} worker{'s' * (count != '1')}": told for count, told in by_count.items()}
        for goal in GOALS:
            print_reached(lines, goal, ("trainings", "epochs", "seconds"))
        for count in by_count.keys() - {"1"}:
            for goal in GOALS:
                print(f"  {count:>2} workers to {goal:.0%}: {told_beside(by_count, count, goal)}")
        for text in verdicts(table, by_count):
            print(text)


def told_beside(by_count: dict[str, Figures], count: str, goal: float) -> str:
    """Means of so many workers beside those of one, in words."""
    parts = [f"{beside_one(by_count, count, goal, what) - 1:+.0%} {what}" for what in ("trainings", "epochs")]
    shorter = 1 / beside_one(by_count, count, goal, "seconds")
    return f"{', '.join(parts)}, {shorter:.1f} times shorter"


def beside_one(by_count: dict[str, Figures], count: str, goal: float, what: str) -> float:
    """The mean that so many workers need of something, as a share of the mean that one does, over the seeds
    with which both got there."""
    name = reaching(goal, what)
    pairs = zip(by_count[count][name], by_count["1"][name], strict=True)
    both = [(many, one) for many, one in pairs if many is not None and one is not None]
    return mean(many for many, _ in both) / mean(one for _, one in both)


def verdicts(table: str, by_count: dict[str, Figures]) -> list[str]:
    """Each goal, and whether it was met."""
    count = str(GOAL_AT)
    if not {"1", count} <= by_count.keys():
        return []
    found = []
    for goal in GOALS:
        for what in ("trainings", "epochs"):
            more = beside_one(by_count, count, goal, what) - 1
            said = f"{table}, {count} workers: {more:+.0%} {what} to {goal:.0%}, goal {MORE_TRAININGS:+.0%}"
            found.append(f"{said}: {'met' if more <= MORE_TRAININGS else 'MISSED'}")
    if table in DEAR:
        shorter = 1 / beside_one(by_count, count, GOALS[0], "seconds")
        said = f"{table}, {count} workers: {shorter:.1f} times shorter to {GOALS[0]:.0%}"
        found.append(f"{said}, goal {TIMES_SHORTER:g}: {'met' if shorter >= TIMES_SHORTER else 'MISSED'}")
    return found


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--tables", type=names, default=list(TABLES), metavar="NAME,...")
    parser.add_argument("--workers", type=sizes, default=list(WORKERS), metavar="COUNT,...")
    parser.add_argument("--devices", type=whole(), metavar="COUNT", help="default: as many as workers")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--fresh", type=names, default=[], metavar="NAME,...", help="strategies to run anew")
    return finish(simulate, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
