"""Throughput as it is predicted against throughput as runs under load show it, and how far repeats differ.

    python -m benchmarks.throughput --out throughput.json --repeats 5 --seconds 30

For each runtime and each of two models the rounds of a latency measurement are taken, the largest load whose
p90 keeps to so many times the median latency is predicted from them, and searched for in runs under load.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from paretune.backends.load.queueing import ResponseBound
from paretune.backends.load.under_load import UnderLoad
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import LatencyPlan
from paretune.backends.measure.summary import summarize
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.loads import under_load
from paretune.search.stages.deployment.load_search import LoadSearch, Sought
from paretune.search.stages.deployment.predicted_load import REQUESTS, predicted_load, services_of

from benchmarks.one_artifact import SIDE, compiled, convolutions

BACKENDS = ("ort", "tflite")
MODELS = {"small": (16, 2), "middle": (48, 3)}
"""Channels and convolutions."""
SHARE, TIMES = 0.9, 4.0


def once(
    name: str, artifact: Path, feed: dict[str, Any], most_ms: float | None, seconds: float
) -> dict[str, Any]:
    """One prediction and one search, in a process of its own."""
    with RunnerClient(LocalLaunch(), pinned=True) as runner:
        opened = runner.open(name, artifact, 1, 1)
        runner.prepare({opened.inputs[0].name: feed["x"]})
        rounds = measure({"it": runner}, None, LatencyPlan(rounds=25))
        latency = summarize(rounds, "it").latency_ms
        bound = most_ms or TIMES * latency.value
        services, bounds = services_of(rounds, "it", latency), (ResponseBound(share=SHARE, most_ms=bound),)
        predicted = predicted_load(services, latency, bounds, 1)
        path = services.path(np.random.default_rng(1), REQUESTS, 1)
        seeds = iter(range(1, 1_000))

        def run(rate: float, requests: int, skip: int) -> UnderLoad:
            return under_load(runner, rate, requests, 2 * seconds, seed=next(seeds), skip=skip)

        found = LoadSearch(
            Sought(bounds=bounds, seconds=seconds, path=path, predicted=predicted), run
        ).found()
    return {
        "latency_ms": latency.value,
        "bound_ms": bound,
        "predicted": [predicted.value, predicted.low, predicted.high],
        "claimed": None if found.claimed is None else found.claimed.value,
        "refuted": found.refuted_per_s if found.refuted_per_s < float("inf") else None,
        "no_claim": found.no_claim,
        "capacity": found.capacity_per_s,
        "seconds": found.seconds,
        "late_ms": max((point.late_ms for point in found.points), default=0.0),
        "points": [(p.offered_per_s, p.limited_ms.value if p.limited_ms else None) for p in found.points],
    }


def line(one: dict[str, Any]) -> str:
    """One repeat, in short."""
    claimed = "none" if one["claimed"] is None else f"{one['claimed']:.0f}"
    return (
        f"{one['latency_ms']:.3f} ms, p90 <= {one['bound_ms']:.3f} ms: predicted {one['predicted'][0]:.0f}, "
        f"claimed {claimed}, late {one['late_ms']:.3f} ms"
    )


def main(argv: list[str] | None = None) -> int:
    """Predict, search, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--backends", nargs="+", default=BACKENDS)
    options = parser.parse_args(argv)
    feed = {"x": np.ones((1, 3, SIDE, SIDE), np.float32)}
    found: dict[str, list[dict[str, Any]]] = {}
    for name in options.backends:
        for title, (channels, depth) in MODELS.items():
            with tempfile.TemporaryDirectory() as folder:
                artifact, bound = compiled(name, convolutions(channels, depth), feed, Path(folder)), None
                for _ in range(options.repeats):
                    one = once(name, artifact, feed, bound, options.seconds)
                    bound = one["bound_ms"]
                    found.setdefault(f"{name} {title}", []).append(one)
                    print(f"{name:7} {title:7} {line(one)}", flush=True)
    options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
