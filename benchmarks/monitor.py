"""What recording costs, how often `paretune monitor check` alarms where nothing has changed, and how soon it
does where something has.

    python -m benchmarks.monitor --out monitor.json --checks 200

Cost: a model in ONNX Runtime that takes about 1 ms, run in blocks with the bundle's own module recording it
and without, in turn. False alarms and drifts: made-up worlds (`benchmarks/monitor_worlds.py`), each bundle
exported afresh from other samples.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from paretune.search.monitor.baseline import plan_text
from paretune.search.monitor.module import module_source
from paretune.search.record.checks import CheckOutcome

from benchmarks.monitor_worlds import BATCH, WORLDS, Deployed, World
from benchmarks.one_artifact import SIDE, convolutions

CHANNELS = 16

LOOK = 12 * BATCH
"""Samples between two looks while a drift is waited for."""
MOST_LOOKS = 40
SIZES = ((64, 150), (64, 2000), (1000, 150), (1000, 2000))
"""Samples that were known, and that are recorded."""


def model(millions: float) -> bytes:
    """A network that takes about so many million multiply-adds for a picture of 3 x 32 x 32."""
    depth = max(1, round(millions * 1e6 / (CHANNELS * CHANNELS * 9 * SIDE * SIDE)))
    return bytes(convolutions(CHANNELS, depth).SerializeToString())


def session_of_about(wanted_ms: float) -> tuple[Any, float]:
    """A session that takes about so long for a run on one thread, and how long that is."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    millions, found = 8.0, 0.0
    for _ in range(4):
        session = onnxruntime.InferenceSession(model(millions), options, providers=["CPUExecutionProvider"])
        found = median_ms(session)
        if abs(found / wanted_ms - 1) < 0.15:
            break
        millions *= wanted_ms / found
    return session, found


def median_ms(session: Any) -> float:
    """Median of 200 runs."""
    x, times = np.zeros((1, 3, 32, 32), np.float32), []
    for _ in range(200):
        began = time.perf_counter()
        session.run(None, {"x": x})
        times.append(time.perf_counter() - began)
    return 1e3 * float(np.median(times))


def bundled_module(folder: Path, samples: Any) -> Any:
    """The module as a bundle has it, imported from the bundle."""
    answers = np.random.default_rng(1).normal(size=(len(samples), 10)).astype(np.float32)
    targets = answers.argmax(axis=1)
    told = {"metric": "accuracy", "primary": "y", "split": "test", "batch": 1}
    (folder / "monitor.json").write_text(plan_text({"x": samples}, {"y": answers}, targets, **told))
    (folder / "monitor.py").write_text(module_source())
    spec = importlib.util.spec_from_file_location("bundled_monitor", folder / "monitor.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["bundled_monitor"] = module
    spec.loader.exec_module(module)
    return module


def cost(wanted_ms: float, blocks: int, runs: int = 300) -> dict[str, Any]:
    """Time of a run with and without recording, in blocks that take turns in random order."""
    rng = np.random.default_rng(0)
    samples = rng.random(size=(500, 3, 32, 32)).astype(np.float32)
    session, alone_ms = session_of_about(wanted_ms)
    with tempfile.TemporaryDirectory() as place:
        monitor = bundled_module(Path(place), samples).Monitor.beside(place, log=Path(place) / "log")

        def plain(x: Any, number: int) -> None:
            session.run(None, {"x": x})

        def recorded(x: Any, number: int) -> None:
            with monitor.inference({"x": x}) as seen:
                (y,) = session.run(None, {"x": x})
                seen({"y": y}, id=number)

        times: dict[str, list[list[float]]] = {"plain": [], "recorded": []}
        for _ in range(blocks):
            for name in rng.permutation(["plain", "recorded"]):
                times[name].append(timed(plain if name == "plain" else recorded, samples, runs))
        monitor.close()
    return {"alone_ms": alone_ms, "trouble": monitor.trouble, **summary(times)}


def timed(call: Any, samples: Any, runs: int) -> list[float]:
    """Milliseconds of each run, and last what a run took of processors, in all threads."""
    found, spent = [], time.process_time()
    for number in range(runs):
        x = samples[number % len(samples)][None]
        began = time.perf_counter()
        call(x, number)
        found.append(1e3 * (time.perf_counter() - began))
    return [*found, 1e3 * (time.process_time() - spent) / runs]


def summary(times: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Ratios by blocks, with 95 % intervals of a bootstrap over pairs of blocks."""
    rng, found = np.random.default_rng(2), {}
    statistics = {
        "median": lambda block: np.median(block[:-1]),
        "mean": lambda block: np.mean(block[:-1]),
        "processors": lambda block: block[-1],
    }
    for name, statistic in statistics.items():
        plain = np.array([statistic(block) for block in times["plain"]])
        recorded = np.array([statistic(block) for block in times["recorded"]])
        ratios = recorded / plain
        draws = np.median(rng.choice(ratios, (2000, len(ratios))), axis=1)
        low, high = np.quantile(draws, [0.025, 0.975])
        found[name] = {
            "plain_ms": float(np.median(plain)),
            "ratio": float(np.median(ratios)),
            "low": float(low),
            "high": float(high),
            "added_us": float(1e3 * np.median(recorded - plain)),
        }
    return found


def still(world: World, known: int, recorded: int, checks: int) -> dict[str, Any]:
    """How checks end where nothing has changed."""
    found: Counter[str] = Counter()
    for number in range(checks):
        rng = np.random.default_rng([number, known, recorded])
        with tempfile.TemporaryDirectory() as place:
            deployed = Deployed(world, known, rng, Path(place))
            found[verdict(deployed.checked([deployed.asked(recorded)]))] += 1
    return {"known": known, "recorded": recorded, "checks": checks, **found}


def verdict(checks: Any) -> str:
    """Alarm, warning or calm."""
    outcomes = {one.outcome for one in checks}
    if CheckOutcome.FAILED in outcomes:
        return "alarm"
    return "warning" if CheckOutcome.WARNING in outcomes else "calm"


def found_after(world: World, drift: dict[str, Any], tries: int) -> dict[str, Any]:
    """After how many samples a drift alarms, and by which check."""
    delays, by = [], Counter()
    for number in range(tries):
        with tempfile.TemporaryDirectory() as place:
            deployed = Deployed(world, 1000, np.random.default_rng([7, number]), Path(place))
            seen = []
            for look in range(1, MOST_LOOKS + 1):
                seen.append(deployed.asked(LOOK, **drift))
                failed = [one for one in deployed.checked(seen) if one.outcome is CheckOutcome.FAILED]
                if failed:
                    delays.append(look * LOOK)
                    by.update({f"{failed[0].metric} of {failed[0].subject}"})
                    break
    return {
        "tries": tries,
        "found": len(delays),
        "median_samples": float(np.median(delays)) if delays else None,
        "most_samples": max(delays, default=None),
        "by": dict(by),
    }


def main() -> None:
    """Run all parts and write what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--checks", type=int, default=200, help="for each world and size")
    parser.add_argument("--tries", type=int, default=20, help="for each drift")
    parser.add_argument("--blocks", type=int, default=20)
    options = parser.parse_args()
    found: dict[str, Any] = {"cost": cost(1.0, options.blocks)}
    print(json.dumps(found["cost"]), flush=True)
    found["still"], found["drifts"] = {}, {}
    for world in WORLDS:
        found["still"][world.name] = [still(world, *size, options.checks) for size in SIZES]
        print(world.name, json.dumps(found["still"][world.name]), flush=True)
        for name, drift in {**world.drifts, "latency +20 %": {"slow": 1.2}}.items():
            found["drifts"][f"{world.name}: {name}"] = found_after(world, drift, options.tries)
            print(world.name, name, json.dumps(found["drifts"][f"{world.name}: {name}"]), flush=True)
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
