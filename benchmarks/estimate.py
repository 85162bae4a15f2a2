"""How good estimates of latency are on devices that were never measured, and what ten measurements change.

1. Leave one device out: cells of NAS-Bench-201 on four devices whose latencies were recorded. The estimator
   sees a sample of cells on three of them, and none, or a few, of the fourth: those that it asks for itself,
   or a random draw. Printed for other cells, over seeds: rank correlation (Spearman), how often the 90 %
   interval holds the truth, median relative error, and half the width of the interval as a factor.
2. The same with one more device left out, and for devices that are made up: random factors, outliers.
3. This machine: small networks on ONNX Runtime with one thread, estimated for another number of threads.

    python -m benchmarks.estimate --table nas201_hardware.csv.gz --out FILE.json [--seeds 10] [--nets 60]
        [--parts devices,fewer,made-up,threads] [--counts 0,3,10,30] [--threads 2]

The table is `nas201_hardware.csv.gz`: columns `arch`, `cifar10_valid`, and `latency_ms_` with each device.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from numpy.typing import NDArray
from paretune.backends.estimate.costs import ModelCost
from paretune.backends.estimate.count import cost_of
from paretune.backends.estimate.latency import Configuration, LatencyEstimator, Observed
from paretune.backends.estimate.situation import Situation
from paretune.backends.estimate.terms import TERMS, USUAL, terms_ms
from paretune.profiles.devices.loader import load_profile
from scipy.stats import spearmanr

from benchmarks.command import Options, check_names, finish, names, parser_of, sizes, tell, whole
from benchmarks.estimate_cells import CellTable, RecordedDevice, cell_cost, read_table, recorded_devices
from benchmarks.estimate_nets import latencies, random_net

PARTS = ("devices", "fewer", "made-up", "threads")
SAMPLE = 40
"""Cells that were measured on each of the other devices."""
POOL, TEST = 300, 1000
Figures = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Device:
    """A device in a benchmark: its models and how long each takes."""

    name: str
    configurations: Callable[[int], Configuration]
    latencies: NDArray[np.float64]

    def observed(self, which: Iterable[int]) -> list[Observed]:
        return [
            Observed(of=self.configurations(int(one)), latency_ms=float(self.latencies[one])) for one in which
        ]


@cache
def _cell(cell: str, compiled: bool) -> ModelCost:
    return cell_cost(cell, compiled)


def _configuration(table: CellTable, device: RecordedDevice, place: int) -> Configuration:
    return Configuration(cost=_cell(table.cells[place], device.compiled), situation=device.situation)


def real_devices(table: CellTable) -> list[Device]:
    return [
        Device(
            name=one.column,
            configurations=partial(_configuration, table, one),
            latencies=table.latencies[one.column],
        )
        for one in recorded_devices()
    ]


def made_up_device(table: CellTable, seed: int) -> Device:
    """A device that ships, with random factors of terms; one cell in ten takes half again as long."""
    rng = np.random.default_rng(1000 + seed)
    name = str(rng.choice(["raspberry-pi-5", "x86-avx2", "x86-avx512-vnni", "nvidia-t4"]))
    like = recorded_devices()[seed % 2 * 3]
    device = replace(like, situation=Situation(load_profile(name), "made up"))
    factors = np.exp(USUAL + rng.normal(0, 0.7) + rng.normal(0, 0.6, len(TERMS)))
    found = np.zeros(len(table.cells))
    for place in range(len(table.cells)):
        one = _configuration(table, device, place)
        found[place] = terms_ms(one.cost, one.situation) @ factors
    noise = rng.normal(0, 0.05, len(found)) + np.log(1.5) * (rng.random(len(found)) < 0.1)
    configurations = partial(_configuration, table, device)
    return Device(name="made up", configurations=configurations, latencies=found * np.exp(noise))


def one_run(
    others: Sequence[Device], target: Device, count: int, seed: int, asked: bool = True
) -> list[float]:
    """Rank correlation, coverage, error and half width where so many of the target were measured."""
    rng = np.random.default_rng(seed)
    known = [
        one
        for other in others
        for one in other.observed(
            rng.choice(len(other.latencies), min(SAMPLE, len(other.latencies)), replace=False)
        )
    ]
    order = rng.permutation(len(target.latencies))
    pool_size = min(POOL, len(order) // 2)
    pool, test = order[:pool_size], order[pool_size : pool_size + TEST]
    measured = pool[:count]
    if asked and count:
        wanted = [target.configurations(int(one)) for one in pool]
        measured = pool[list(LatencyEstimator(known).to_measure(wanted, count))]
    estimator = LatencyEstimator([*known, *target.observed(measured)])
    logs, half = estimator.logarithms([target.configurations(int(one)) for one in test])
    apart = logs - np.log(target.latencies[test])
    rank = spearmanr(logs, target.latencies[test]).statistic
    error = np.median(np.abs(np.expm1(apart)))
    return [float(rank), float(np.mean(np.abs(apart) <= half)), float(error), float(np.exp(np.median(half)))]


def summary(runs: Sequence[Sequence[float]]) -> Figures:
    rank, cover, error, width = np.array(runs).T
    return {
        "rank": float(rank.mean()),
        "rank_least": float(rank.min()),
        "coverage": float(cover.mean()),
        "error": float(error.mean()),
        "within_times": float(np.median(width)),
        "runs": [list(run) for run in runs],
    }


def devices_part(table: CellTable, options: Options) -> Figures:
    devices, found = real_devices(table), {}
    for target in devices:
        others = [one for one in devices if one is not target]
        for count in options.counts:
            for way in ("asked", "random") if count == 10 else ("asked",):
                runs = [one_run(others, target, count, seed, way == "asked") for seed in range(options.seeds)]
                found[f"{target.name}, {count} {way}"] = summary(runs)
                tell(_line(f"{target.name}, {count} {way}", found[f"{target.name}, {count} {way}"]))
    return found


def fewer_part(table: CellTable, options: Options) -> Figures:
    devices, found = real_devices(table), {}
    for target in devices:
        others = [one for one in devices if one is not target]
        pairs = [[one for one in others if one is not left] for left in others]
        runs = [one_run(pair, target, 10, seed) for pair in pairs for seed in range(options.seeds // 3 + 1)]
        found[f"{target.name}, 10 asked, two others"] = summary(runs)
        tell(_line(f"{target.name}, two others", found[f"{target.name}, 10 asked, two others"]))
    return found


def made_up_part(table: CellTable, options: Options) -> Figures:
    few = CellTable(cells=table.cells[::8], latencies={k: v[::8] for k, v in table.latencies.items()})
    devices, found = real_devices(few), {}
    targets = [made_up_device(few, seed) for seed in range(options.seeds)]
    for count in (0, 10):
        runs = [one_run(devices, target, count, seed) for seed, target in enumerate(targets)]
        found[f"made up, {count} asked"] = summary(runs)
        tell(_line(f"made up, {count}", found[f"made up, {count} asked"]))
    return found


def _net(costs: Sequence[ModelCost], situation: Situation, place: int) -> Configuration:
    return Configuration(cost=costs[place], situation=situation)


def threads_part(options: Options) -> Figures:
    rng = np.random.default_rng(0)
    nets = [random_net(rng) for _ in range(options.nets)]
    costs = [cost_of(net) for net in nets]
    profile = load_profile("host")
    times = latencies(nets, (1, options.threads), options.rounds)
    one, several = (
        Device(
            name=f"{count} threads",
            configurations=partial(_net, costs, Situation(profile, "onnxruntime", count, "cpu")),
            latencies=times[count],
        )
        for count in (1, options.threads)
    )
    found: Figures = {"speed_up": float(np.median(times[1] / times[options.threads]))}
    for count in (0, 10):
        runs = [one_run([one], several, count, seed) for seed in range(options.seeds)]
        found[f"{options.threads} threads, {count} asked"] = summary(runs)
        tell(_line(f"{options.threads} threads, {count}", found[f"{options.threads} threads, {count} asked"]))
    return found


def work(options: Options) -> Figures:
    check_names("part", options.parts, PARTS)
    table = read_table(options.table) if options.parts != ["threads"] else None
    found: Figures = {}
    for part, made in (("devices", devices_part), ("fewer", fewer_part), ("made-up", made_up_part)):
        if part in options.parts and table is not None:
            found[part] = made(table, options)
    if "threads" in options.parts:
        found["threads"] = threads_part(options)
    return found


def _line(name: str, figures: Figures) -> str:
    return (
        f"{name:<36} rank {figures['rank']:.3f} (least {figures['rank_least']:.3f})  "
        f"covered {figures['coverage']:6.1%}  error {figures['error']:6.1%}  "
        f"within x{figures['within_times']:.2f}"
    )


def show(found: Figures) -> None:
    for part in found:
        print(f"\n{part}")
        for name, figures in found[part].items():
            print(_line(name, figures) if isinstance(figures, dict) else f"{name}: {figures:.2f}")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--table", type=Path, help="nas201_hardware.csv.gz; not needed for `threads`")
    parser.add_argument("--seeds", type=whole(), default=10)
    parser.add_argument("--counts", type=sizes, default=[0, 3, 10, 30], help="measurements of the device")
    parser.add_argument("--nets", type=whole(30), default=60)
    parser.add_argument("--rounds", type=whole(), default=12)
    parser.add_argument("--threads", type=whole(2), default=2)
    parser.add_argument("--parts", type=names, default=list(PARTS))
    options = parser.parse_args(arguments)
    if options.table is None and options.parts != ["threads"]:
        parser.error("--table is needed for all parts but `threads`")
    return finish(work, options, show)


if __name__ == "__main__":
    sys.exit(main())
