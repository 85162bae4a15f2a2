"""How often `paretune regress` raises a false alarm on unchanged code, and what it finds.

1. Recorded nights (`python -m benchmarks.regress.nights`): every pair of them, unchanged, and with two layers
   really added to the candidate.
2. Simulated nights, thousands for each seed, with the spread that recorded ones have shown and with several
   times that: unchanged, slower by twice the tolerance; and the smallest tolerance at which both goals hold.
3. Quality: trainings done anew, and a loss of twice the tolerance, on more and more samples.

    python -m benchmarks.regress --out FILE.json [--nights NIGHTS.json] [--count 2000] [--seeds 3]

Goals: anything fails in at most 1 of 100 unchanged nights; twice the tolerance is found in 95 of 100.
"""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.command import earlier_figures, finish, parser_of, whole
from benchmarks.regress import real, simulated

TOLERANCES = (0.5, 1, 2, 3, 5, 10)
TIMES = (1, 2, 4, 8)
SIZES = (1000, 5000, 20_000, 30_000)
ALARMS, FOUND = 1.0, 95.0


def run(options):
    seeds, count = range(options.seeds), options.count
    recorded = earlier_figures(options.nights).get("nights", []) if options.nights else []
    return {
        "real": real.figures(recorded, TOLERANCES) if recorded else {},
        "simulated": {
            str(times): [simulated.latency_figures(seed, count, times, TOLERANCES) for seed in seeds]
            for times in TIMES
        },
        "quality": [simulated.quality_figures(seed, max(1, count // 4), SIZES) for seed in seeds],
    }


def smallest(by_seed):
    """The smallest tolerance at which both goals hold with every seed; None where none does."""
    for tolerance in TOLERANCES:
        those = [one[str(tolerance)] for one in by_seed]
        if all(
            one["unchanged"]["alarms"] <= ALARMS and one["slower"]["latency failed"] >= FOUND for one in those
        ):
            return tolerance
    return None


def show(figures):
    for kind, found in figures["real"].items():
        said = ", ".join(f"{name} {value:.3g}" for name, value in found["spread"].items())
        print(f"recorded, {kind}: {said}")
        for tolerance, one in found["at"].items():
            print(f"  {tolerance:>4} %: {_said(one, 'slower', 'latency')}; {_layers(one)}")
    for times, by_seed in figures["simulated"].items():
        print(f"simulated, {times} times the spread; both goals from {smallest(by_seed)} % on")
        for tolerance in map(str, TOLERANCES):
            for one in by_seed:
                print(f"  {tolerance:>4} %: {_said(one[tolerance], 'slower', 'latency')}")
    for by_size in figures["quality"]:
        for size, one in by_size.items():
            print(f"  {size:>6} samples: {_said(one, 'lost', 'quality')}")


def _layers(one):
    lost = one["layers"]
    return f"layers found {lost['latency failed']:.1f} %, passed {lost['latency passed']:.1f} %"


def _said(one, worse, what):
    unchanged, lost = one["unchanged"], one[worse]
    alarms, unclear = unchanged["alarms"], unchanged[f"{what} open"]
    found, missed = lost[f"{what} failed"], lost[f"{what} passed"]
    return (
        f"{unchanged['nights']} nights, alarms {alarms:.2f} %, open {unclear:.1f} %; "
        f"found {found:.1f} %, passed {missed:.1f} %"
    )


def main(argv=None):
    parser = parser_of(__doc__)
    parser.add_argument("--nights", type=Path, help="recorded nights")
    parser.add_argument("--count", type=whole(2), default=2000, help="nights of each simulation and seed")
    parser.add_argument("--seeds", type=whole(1), default=3, help="how many")
    return finish(run, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
