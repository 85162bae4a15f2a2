"""What many workers bring: recorded spaces, searched by 1 to 64 workers in simulated time.

    python -m benchmarks.parallel --seeds 20 --out parallel.json

The real driver of many workers, sampler and gate search the spaces in benchmarks/data, which are scored and
paid for as `benchmarks.exhaustive` says, with as many simulated workers as --workers names, each of which
takes one task at a time. What a training or a measurement took when it was recorded passes here in no time;
the milestones of trainings come at their own times and are judged as it is then. Measuring and scoring lease
one of as many devices as there are workers, or as --devices says.

Trainings are counted when they are begun, epochs (in whole trainings: 3 of 12 are 0.25) from milestone to
milestone when these are begun, so that what is under way when a goal is reached is paid for as well. `latest`
counts those that were begun up to the latest one which what is held rests on: with 8 workers seven others are
under way by then. Printed are medians and quartiles over the seeds, what that is beside one worker over the
seeds with which both got there, the goals, and how soon anybody could be there who knows every result.

Runs are kept beside --out in FILE.parts and not run again, unless `--fresh hardware-first` asks for it.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

from benchmarks.command import finish, names, parser_of, sizes, whole
from benchmarks.exhaustive.run import DEAR, GOALS, MOST_TRIALS, enough
from benchmarks.exhaustive.table import ABOUT, POINTS, TRAININGS, load_recorded
from benchmarks.exhaustive.told import UNTRAINED
from benchmarks.exhaustive.yardsticks import soonest
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
    """Table -> `workers`: their number -> figures, see `summary.figures`; `soonest`: share -> seconds."""
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
        apart, recorded = len(options.workers), load_recorded(folder)
        found[folder.name] = {
            "workers": {
                str(count): figures(runs[place::apart], GOALS) for place, count in enumerate(options.workers)
            },
            "soonest": {f"{goal:.0%}": soonest(recorded, goal) for goal in GOALS},
        }
    return found


def show(found: dict[str, Any]) -> None:
    """Medians and quartiles for each table and number of workers, and what that is beside one worker."""
    for table, told in found.items():
        if table == "about":
            continue
        print(f"\n{table}")
        by_count: dict[str, Figures] = told["workers"]
        lines = {f"{count} worker{'s' * (count != '1')}": of for count, of in by_count.items()}
        for goal in GOALS:
            known = any(value is not None for of in lines.values() for value in of[reaching(goal, "latest")])
            print_reached(lines, goal, ("trainings", *(["latest"] if known else []), "epochs", "seconds"))
        for text in [*all_beside_one(by_count), *verdicts(table, by_count), *bounds(table, told)]:
            print(text)


@dataclass(frozen=True, kw_only=True)
class Beside:
    """So many workers beside one: the quotient of the means of what they need, over the seeds with which both
    get there (None: there are none); `both`, `many` and `one` of the seeds that do."""

    quotient: float | None
    both: int
    many: int
    one: int
    seeds: int

    def told(self, *, shorter: bool = False) -> str:
        """ "+12%", or how many times shorter it is."""
        if self.quotient is None:
            return "untold"
        return f"{1 / self.quotient:.1f} times shorter" if shorter else f"{self.quotient - 1:+.0%}"

    def within(self, most: float) -> str:
        """The verdict: not met by those that get there less often than one does."""
        met = self.quotient is not None and self.quotient <= most and self.many >= self.one
        return f"{'met' if met else 'MISSED'}, {self.reached}"

    @property
    def reached(self) -> str:
        """With how many seeds they got there."""
        others = "" if self.both == self.many == self.one else f", {self.many} by many, {self.one} by one"
        return f"{self.both} of {self.seeds} seeds{others}"


def beside_one(by_count: dict[str, Figures], count: str, goal: float, what: str) -> Beside:
    """Of something that is counted, see `summary.COLUMNS`."""
    many, one = (by_count[number][reaching(goal, what)] for number in (count, "1"))
    pairs = [(m, o) for m, o in zip(many, one, strict=True) if m is not None and o is not None]
    least = mean(o for _, o in pairs) if pairs else 0.0
    return Beside(
        quotient=mean(m for m, _ in pairs) / least if least else None,
        both=len(pairs),
        many=sum(m is not None for m in many),
        one=sum(o is not None for o in one),
        seeds=len(one),
    )


def all_beside_one(by_count: dict[str, Figures]) -> Iterator[str]:
    """A line for each number of workers and goal."""
    if "1" not in by_count:
        return
    for count in (count for count in by_count if count != "1"):
        for goal in GOALS:
            begun, latest, epochs, seconds = (
                beside_one(by_count, count, goal, what)
                for what in ("trainings", "latest", "epochs", "seconds")
            )
            more = f"{begun.told()} trainings ({latest.told()} up to the latest of use)"
            said = f"{more}, {epochs.told()} epochs, {seconds.told(shorter=True)}, {seconds.reached}"
            yield f"  {count:>2} workers to {goal:.0%}: {said}"


def verdicts(table: str, by_count: dict[str, Figures]) -> Iterator[str]:
    """Each goal, and whether it was met."""
    count = str(GOAL_AT)
    if not {"1", count} <= by_count.keys():
        return
    for goal in GOALS:
        for what in ("trainings", "epochs"):
            more = beside_one(by_count, count, goal, what)
            said = f"{table}, {count} workers: {more.told()} {what} to {goal:.0%}, goal {MORE_TRAININGS:+.0%}"
            yield f"{said}: {more.within(1 + MORE_TRAININGS)}"
    if table in DEAR:
        shorter = beside_one(by_count, count, GOALS[0], "seconds")
        said = f"{table}, {count} workers: {shorter.told(shorter=True)} to {GOALS[0]:.0%}"
        yield f"{said}, goal {TIMES_SHORTER:g}: {shorter.within(1 / TIMES_SHORTER)}"


def bounds(table: str, told: dict[str, Any]) -> Iterator[str]:
    """What no number of workers can do better."""
    for goal in GOALS:
        least = told["soonest"][f"{goal:.0%}"]
        one = [s for s in told["workers"].get("1", {}).get(reaching(goal, "seconds"), ()) if s is not None]
        said = f"{table}, any number of workers that know every result: {goal:.0%} in {least:.3g} s"
        times = f", {mean(one) / least:.1f} times shorter than one" if one and least else ""
        yield f"{said}{times}; sooner is impossible"


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
