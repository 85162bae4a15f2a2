"""How little training a search needs on real models: a space recorded whole, then searched in its record.

    python -m benchmarks.exhaustive.run --seeds 20 --out exhaustive.json

Recordings lie in benchmarks/data: digits, and with trainings that are dear trec and spoken_digits;
`benchmarks.exhaustive.record` makes another one.

Objectives are accuracy on validation, latency and size. Scored is the hypervolume of what a search evaluated,
by the recorded values, between the reference point (5 points under the best accuracy, latency and size of the
uncompressed teacher in fp32 on the first backend) and the front, as a share of the true front's. A search
sees latencies with noise as wide as the recorded intervals. What it pays are the recorded seconds; the
teacher's simple choices are free for all. A search ends at 99 %, or after 3,000 trials (then: null).
Beside the strategies stand two that search nothing: `clairvoyant` knows every result and trains what the
goal needs, `smallest-first` trains by multiply-adds. Epochs are in whole trainings: 3 of 12 are 0.25.

With --without-features untrained networks tell nothing, with --shuffle-features SEED each tells what another
one would: what a search loses by the latter is what features of no use cost. With --shuffle-curves SEED each
training goes the way of another one until its end.

Runs are kept beside --out in FILE.parts and not run again, unless `--fresh STRATEGY,...` asks for it.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

from benchmarks.command import check_names, finish, names, parser_of, whole
from benchmarks.exhaustive.simple import SIMPLE, SimpleSearch
from benchmarks.exhaustive.table import ABOUT, POINTS, TRAININGS, load_recorded
from benchmarks.exhaustive.told import UNTRAINED
from benchmarks.exhaustive.yardsticks import yardsticks
from benchmarks.simulation.recorded import Recorded
from benchmarks.simulation.runs import Run, digest_of, run_all
from benchmarks.simulation.search import ABLATIONS, DRIVEN, OURS, DrivenSearch, Holdings
from benchmarks.simulation.shuffled import misled, shuffled, silent
from benchmarks.simulation.summary import Figures, best_of, curve, figures, print_reached, reaching

TABLE = Path(__file__).resolve().parents[1] / "data" / "digits"
STRATEGIES = (*SIMPLE, *DRIVEN)
GOALS = (0.95, 0.99)
MOST_TRIALS = 3000
"""After so many a search ends: more than five times each space."""
CURVE_POINTS = 24
TOLD, NOTHING = "true", "nothing"
PLAIN = "tpe"
STRONGEST_GOAL, PLAIN_GOAL = 1 / 2, 1 / 6
"""Training seconds to 99 % that ours may need, as a share of the strongest simple strategy's and of TPE's."""
DEAR, DEAR_GOAL = ("trec", "spoken_digits"), 0.3
"""Tables whose trainings are dear, and the goal against the strongest simple strategy there."""


def search(*, table: Path, strategy: str, seed: int, told: str | int = TOLD, curves: str | int = TOLD) -> Run:
    """`told` is what networks tell: `true`, `nothing`, or by the seed of a shuffle what others would. So are
    the ways of trainings before their ends by `curves`."""
    recorded = load_recorded(table)
    recorded = recorded if curves == TOLD else misled(recorded, int(curves))
    if told != TOLD:
        recorded = silent(recorded) if told == NOTHING else shuffled(recorded, int(told))
    if strategy in SIMPLE:
        return SimpleSearch(recorded, SIMPLE[strategy], seed, trials=MOST_TRIALS, enough=enough).run()
    return DrivenSearch(
        recorded, {**DRIVEN, **ABLATIONS}[strategy], seed, trials=MOST_TRIALS, enough=enough
    ).run()


def enough(holdings: Holdings) -> bool:
    return holdings.share >= GOALS[-1]


def replay(options: argparse.Namespace) -> dict[str, Figures]:
    """Run the strategies that were asked for; the figures of each."""
    check_names("strategy", (*options.strategies, *options.fresh), (*STRATEGIES, *ABLATIONS))
    table, wanted = load_recorded(options.table), options.strategies
    told = {} if options.told == TOLD else {"told": options.told}
    told |= {} if options.curves is None else {"curves": options.curves}
    jobs = [
        {"table": options.table, "strategy": name, "seed": seed, **(told if name.startswith(OURS) else {})}
        for seed in range(options.seeds)
        for name in wanted
    ]
    files = [options.table / name for name in (POINTS, TRAININGS, ABOUT, UNTRAINED)]
    digest = digest_of(*filter(Path.exists, files))
    runs = run_all(search, jobs, out=options.out, table=digest, fresh=options.fresh, workers=options.jobs)
    known = {name: summary([run], table) for name, run in yardsticks(table, GOALS).items()}
    return {
        **{name: summary(runs[place :: len(wanted)], table) for place, name in enumerate(wanted)},
        **known,
    }


def summary(runs: list[Run], table: Recorded) -> Figures:
    total = whole_space(table)
    steps = [round(total * (index + 1) / CURVE_POINTS, 2) for index in range(CURVE_POINTS)]
    return {**figures(runs, GOALS), "curve": curve(runs, "training_seconds", steps)}


def whole_space(table: Recorded) -> float:
    """Training seconds of the whole space, each training once."""
    return sum(training.seconds for training in table.trainings().values())


def ratios(found: dict[str, Figures], strongest: float = STRONGEST_GOAL) -> dict[str, tuple[float, float]]:
    """Ours against the strongest simple strategy and against plain TPE, by name, in median training seconds
    to 99 %: share, and share that is the goal."""
    what = reaching(GOALS[-1], "training_seconds")
    _, ours = best_of(found, [OURS], what)
    against = {PLAIN: PLAIN_GOAL, best_of(found, SIMPLE, what)[0]: strongest}
    others = {name: best_of(found, [name], what)[1] for name in against if {name, OURS} <= found.keys()}
    # Where the other never gets there at all, any end of ours is within every share of it.
    shares = {name: math.inf if math.isinf(ours) else ours / other for name, other in others.items()}
    return {name: (share, against[name]) for name, share in shares.items()}


def show(found: dict[str, Figures], directory: Path) -> None:
    """The space, medians and quartiles of each strategy, and the comparison."""
    table = load_recorded(directory)
    strongest = DEAR_GOAL if directory.resolve().name in DEAR else STRONGEST_GOAL
    exist = sum(table.true(candidate) is not None for candidate in table.space.candidates())
    accuracy, latency, size = table.reference
    print(
        f"{table.space.size} candidates, {exist} of them can exist, {len(table.trainings())} trainings of "
        f"{whole_space(table):.1f} s in all; reference: accuracy {accuracy:.4f}, {latency:.4g} ms, "
        f"{size:.0f} bytes"
    )
    for goal in GOALS:
        print_reached(found, goal, ("training_seconds", "seconds", "trainings", "epochs"))
    for name, (share, goal) in ratios(found, strongest).items():
        verdict = "reached" if share <= goal else "missed"
        print(f"{OURS}: {share:.3f} of {name}'s training seconds to 99 %, goal {goal:.3f}: {verdict}")


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--table", type=Path, default=TABLE, help="directory of the recorded table")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--strategies", type=names, default=list(STRATEGIES), metavar="NAME,...")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--fresh", type=names, default=[], metavar="NAME,...", help="strategies to run anew")
    features = parser.add_mutually_exclusive_group()
    features.add_argument(
        "--without-features", dest="told", action="store_const", const=NOTHING, default=TOLD
    )
    features.add_argument("--shuffle-features", dest="told", type=whole(0), metavar="SEED")
    parser.add_argument("--shuffle-curves", dest="curves", type=whole(0), metavar="SEED")
    options = parser.parse_args(argv)
    return finish(replay, options, lambda found: show(found, options.table))


if __name__ == "__main__":
    sys.exit(main())
