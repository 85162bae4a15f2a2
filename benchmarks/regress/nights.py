"""Real nights, in short form: artifacts measured as finalists are, again and again from fresh processes.

In each night a reference, a candidate and the same candidate with two layers more run in the same rounds,
five processes of each. Nothing changes from night to night, so that every difference between two of them is
the machine's; what has more layers is a candidate that became slower by twice a tolerance of 3 %. The kinds
of nights take turns: ONNX Runtime and LiteRT on one core, and ONNX Runtime with two threads.

    python -m benchmarks.regress.nights --out NIGHTS.json [--nights 300]

What was finished stands in NIGHTS.json: called again with the same file, the rest is done.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.measure.environment import cpu_ticks
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import PROCESSES, REFERENCE, LatencyPlan
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch

from benchmarks.command import check_names, earlier_figures, finish, names, parser_of, whole, write_figures
from benchmarks.one_artifact import compiled

LAYERS, MORE, REFERENCE_LAYERS = 32, 34, 48
SAME, SLOWER = "same", "slower"
KINDS = {"ort": ("ort", 1), "tflite": ("tflite", 1), "two threads": ("ort", 2)}
"""Backend and threads."""
FEED = {"x": np.random.default_rng(1).normal(size=(1, 16, 16, 16)).astype(np.float32)}
PLAN = LatencyPlan(rounds=40, block_ms=8.0, warm_up_s=0.1)
"""As many rounds as finalists get by default; shorter blocks, for hundreds of nights."""


def chain(layers):
    """So many equal 3x3 convolutions, so that each adds the same time."""
    rng, nodes, weights, name = np.random.default_rng(0), [], [], "x"
    for index in range(layers):
        weight = rng.normal(0, (2 / 144) ** 0.5, (16, 16, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{index}"))
        nodes.append(
            helper.make_node("Conv", [name, f"w{index}"], [f"c{index}"], pads=[1] * 4, kernel_shape=[3, 3])
        )
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"]))
        name = f"r{index}"
    shape = [1, 16, 16, 16]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
    nodes[-1].output[0] = "y"
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)]
    graph = helper.make_graph(nodes, "chain", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def artifacts(folder, kinds):
    """The files of these kinds of nights by backend and layers."""
    backends = dict.fromkeys(KINDS[kind][0] for kind in kinds)
    candidates = [(backend, count) for backend in backends for count in (LAYERS, MORE)]
    found = {}
    for backend, layers in (("ort", REFERENCE_LAYERS), *candidates):
        place = folder / f"{backend}-{layers}"
        place.mkdir()
        found[backend, layers] = compiled(backend, chain(layers), FEED, place)
    return found


def night(files, number, kind, processes):
    """One measurement of all, each in processes of its own, and what is kept of it."""
    began, (backend, threads) = time.time(), KINDS[kind]
    asked = {SAME: (backend, LAYERS), SLOWER: (backend, MORE), REFERENCE: ("ort", REFERENCE_LAYERS)}
    with ExitStack() as stack:
        running = {
            name: [opened(stack, one[0], files[one], threads) for _ in range(processes)]
            for name, one in asked.items()
        }
        reference = running.pop(REFERENCE)
        rounds = measure(running, reference, replace(PLAN, seed=number), cpu_ticks)
    return {
        "kind": kind,
        "at": began,
        "seconds": time.time() - began,
        "load": os.getloadavg()[0],
        "steal": rounds.steal_share,
        "processes": processes,
        "quickest": {name: per_round(series, min) for name, series in rounds.series.items()},
        "typical": {name: per_round(series, np.median) for name, series in rounds.series.items()},
    }


def per_round(series, statistic):
    """Microseconds of a run, one value a round."""
    return [round(float(statistic(block.samples)) / series.loops / 1e3, 3) for block in series.blocks]


def opened(stack, backend, file, threads):
    runner = stack.enter_context(RunnerClient(LocalLaunch(), pinned=True))
    runner.open(backend, file, 1, threads)
    runner.prepare(FEED)
    return runner


def run(options):
    kept, kinds = earlier_figures(options.out).get("nights", []), names(options.kinds)
    check_names("kind of night", kinds, KINDS)
    with tempfile.TemporaryDirectory() as folder:
        files = artifacts(Path(folder), kinds) if len(kept) < options.nights else {}
        while (number := len(kept)) < options.nights:
            kept.append(night(files, number, kinds[number % len(kinds)], options.processes))
            write_figures(options.out, {"nights": kept})
    return {"nights": kept}


def show(figures):
    for kind in KINDS:
        nights = [one for one in figures["nights"] if one["kind"] == kind]
        for name in (SAME, SLOWER, REFERENCE) if nights else ():
            logs = [np.log(one["quickest"][name]).mean() for one in nights]
            over = [
                np.mean(np.log(one["quickest"][name]) - np.log(one["quickest"][REFERENCE])) for one in nights
            ]
            print(
                f"{kind:>12} {name:>10}  {np.exp(np.mean(logs)):8.1f} us  SD {100 * np.std(logs):5.2f} %   "
                f"ratio {np.exp(np.mean(over)):.4f}  SD {100 * np.std(over):5.2f} %"
            )


def main(argv=None):
    parser = parser_of(__doc__)
    parser.add_argument("--nights", type=whole(1), default=300, help="how many")
    parser.add_argument("--kinds", default=",".join(KINDS), help="which, with commas between")
    parser.add_argument("--processes", type=whole(3), default=PROCESSES, help="of each artifact")
    return finish(run, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
