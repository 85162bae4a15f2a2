"""What the trials of `benchmarks.measurement` come to, and how it is shown."""

from __future__ import annotations

import statistics

import numpy as np
from paretune.backends.measure.samples import PROCESSES

TITLES = {
    "pinned": "one process, held on one core",
    "unpinned": "one process, on any core",
    "two-threads": "one process, two threads",
    "finalists": f"{PROCESSES} processes a side, one core",
}
WAYS = [
    ("our protocol", "ratio_sd_percent"),
    ("sequential, mean", "sequential_mean_sd_percent"),
    ("sequential, median", "sequential_median_sd_percent"),
    ("sequential, minimum", "sequential_minimum_sd_percent"),
]


def show(found):
    print(f"{'A/A':34s} trials    held   naive   mean-1      SD  {'processes differ by':>23s}   told apart")
    for part, one in found["aa"].items():
        spread = one["process_spread_percent"]
        differ = f"{spread[1]:.2f} ({spread[0]:.2f} to {spread[2]:.2f}) %" if spread else ""
        apart = f"from {one['told_apart_percent']:.1f} %" if spread else ""
        shares = (one[f"{name}_percent"] for name in ("coverage", "naive_coverage", "off", "sd"))
        told = "{:5.1f} % {:5.1f} % {:6.2f} % {:5.2f} %".format(*shares)
        print(f"{TITLES[part]:34s} {one['trials']:6d} {told}  {differ:>23s}   {apart}")
    if found["ways"]:
        print(f"standard deviation of a ratio over {found['repeats']} repeats")
        for text, key in WAYS:
            print(f"  {text:32s} {found['ways'][key]:6.2f} %")
    print(f"taken by other machines: {found['steal_percent']:.1f} %; this took {found['seconds']:.0f} s")


def a_a_figures(studies):
    """Of all trials of one way."""
    values, lows, highs, naive_lows, naive_highs = np.array([t for s in studies for t in s["trials"]]).T
    spreads = [s["spread"] for s in studies if s["spread"] is not None]
    apart = [s["told_apart"] for s in studies if s["told_apart"] is not None]
    return {
        "trials": len(values),
        "coverage_percent": 100 * float(np.mean((lows <= 1) & (highs >= 1))),
        "naive_coverage_percent": 100 * float(np.mean((naive_lows <= 1) & (naive_highs >= 1))),
        "off_percent": 100 * float(np.mean(np.log(values))),
        "sd_percent": 100 * float(np.std(values, ddof=1)),
        "interval_half_percent": 100 * float(np.mean((highs - lows) / 2)),
        "process_spread_percent": [100 * x for x in _range(spreads)],
        "told_apart_percent": 100 * statistics.median(apart) if apart else None,
        "cores": studies[0]["cores"],
    }


def _range(values):
    return [min(values), statistics.median(values), max(values)] if values else []


def way_figures(repeats):
    ways = {"ours": "ratio", **{way: f"sequential_{way}" for way in ("mean", "median", "minimum")}}
    found = {}
    for way, name in ways.items():
        values = [one[way] for one in repeats]
        found[f"{name}_sd_percent"] = 100 * statistics.stdev(values) / statistics.mean(values)
    return {**found, "ratio_int8_over_fp32": statistics.median(one["ours"] for one in repeats)}
