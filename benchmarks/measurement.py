"""How far a measured latency ratio can be trusted: by the product's own stages, in the ways it runs them.

1. A/A, one process, as while searching: a small fp32 net on ONNX Runtime against itself in other processes,
   where the true ratio is 1. Studies of ten candidates, each with an A/A of its own, as in the product: held
   on one core, on a device that cannot hold processes on cores, and with two threads. Printed: how often the
   95 % interval holds 1, the standard deviation of the ratio, what processes differ by, and from which
   difference on latencies can be told apart.
2. A/A, five processes a side, as finalists are measured.
3. Spread: the ratio of int8 to fp32, again and again from fresh processes, as finalists are measured, and
   sequentially (one model, then the other, in the same wall time, as the runtimes' own tools do).

    python -m benchmarks.measurement --out FILE.json [--aa 300] [--repeats 14] [--parts pinned,unpinned,...]

What was finished stands in FILE.json: called again with the same file, the rest is done.
"""

from __future__ import annotations

import math
import os
import random
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.measure.environment import cpu_ticks, steal_share
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import PROCESSES, REFERENCE, LatencyPlan
from paretune.backends.measure.summary import compare, summarize
from paretune.backends.runner.client import Guard, RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.leased import DeviceLease
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.stages.device.a_a import read_rounds
from paretune.search.stages.device.line import Line
from paretune.search.stages.device.runners import Deployment
from paretune.search.stages.device.stages import CANDIDATE, DeviceStages
from paretune.search.store.store import Store, content_key

from benchmarks.command import (
    check_names,
    earlier_figures,
    finish,
    names,
    parser_of,
    tell,
    whole,
    write_figures,
)
from benchmarks.measurement_figures import TITLES, a_a_figures, show, way_figures

CANDIDATES = 10
"""Of a study; the trials of one share its reference and its A/A, and with them their luck."""
MODES = {
    "pinned": {"threads": 1, "pinned": True},
    "unpinned": {"threads": 1, "pinned": False},
    "two-threads": {"threads": 2, "pinned": True},
}
FEED = {"x": np.random.default_rng(1).normal(size=(1, 3, 32, 32)).astype(np.float32)}
CALIBRATION = {"x": np.random.default_rng(2).normal(size=(32, 3, 32, 32)).astype(np.float32)}
FP32 = Candidate(backend="ort", precision=Precision.FP32)
INT8 = replace(FP32, precision=Precision.INT8, calibration_method="minmax", calibration_samples=32)
# What the product measures with, but for shorter blocks and warm-up: 300 trials must not take long.
SEARCHING = LatencyPlan(block_ms=4.0, warm_up_s=0.02, enough_share=0.005)
FINALISTS = replace(SEARCHING, enough_share=0.0)


def write_net(path):
    """Six 3x3 convolutions over 32x32 images, 16 to 64 channels, random weights: about 12 M multiply-adds."""
    rng, nodes, weights, name, channels = np.random.default_rng(0), [], [], "x", 3
    for index, (width, stride) in enumerate([(16, 1), (16, 1), (32, 2), (32, 1), (64, 2), (64, 1)]):
        weight = rng.normal(0, (2 / 9 / channels) ** 0.5, (width, channels, 3, 3)).astype(np.float32)
        weights.append(numpy_helper.from_array(weight, f"w{index}"))
        shape = {"pads": [1] * 4, "strides": [stride] * 2, "kernel_shape": [3, 3]}
        nodes.append(helper.make_node("Conv", [name, f"w{index}"], [f"c{index}"], **shape))
        nodes.append(helper.make_node("Relu", [f"c{index}"], [f"r{index}"]))
        name, channels = f"r{index}", width
    nodes.append(helper.make_node("GlobalAveragePool", [name], ["y"]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 32, 32])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", channels, 1, 1])]
    graph = helper.make_graph(nodes, "net", inputs, outputs, weights)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


class Bench:
    """The product's device stages on a store of their own."""

    def __init__(self, folder):
        self.store = Store(folder / "store")

        def make(into):
            write_net(into / "net.onnx")
            return {"file": "net.onnx", "format": "onnx"}

        self.source = self.store.produce("export", content_key("export", 1, {}), {}, make)

    def stages(self, stack, name, plan, *, threads, pinned):
        """Those of a study of that name, with the fp32 net as its reference."""
        made = DeviceStages(
            store=self.store,
            deployment=Deployment(batch=1, threads=threads, device=name, instructions="these"),
            lease=DeviceLease(LocalLaunch()),
            line=Line(launch=LocalLaunch(), guard=Guard()),
            plan=plan,
            announce=lambda stage: None,
            pinned=pinned,
        )
        stack.callback(made.close)
        made.set_reference(self.compiled(made, FP32), FP32)
        return made

    def compiled(self, stages, candidate):
        return stages.compiled(candidate, self.source, (CALIBRATION, "calibration"))


def searched(bench, mode, number, count):
    """One study: its A/A, and the A/A ratios of its candidates, each in a process of its own."""
    with ExitStack() as stack:
        stages = bench.stages(stack, f"{mode} {number}", SEARCHING, **MODES[mode])
        timing, artifact, trials = stages.timing, stages.reference[0], []
        for trial in range(count):
            stages.plan = replace(SEARCHING, seed=CANDIDATES * number + trial)
            rounds = read_rounds(stages.measured(artifact, "ort"))
            ratio, naive = (
                summarize(rounds, CANDIDATE, stages.spread).ratio,
                naive_interval(rounds, CANDIDATE),
            )
            trials.append([ratio.value, *ratio.ends, *naive])
    cores = list(timing.cores)
    return {
        "spread": timing.process_spread,
        "told_apart": timing.told_apart,
        "cores": cores,
        "trials": trials,
    }


def finalists(bench, number, count):
    """A/A ratios of several processes a side. The processes are started anew for every few trials."""
    rng, trials = random.Random(number), []
    with ExitStack() as stack:
        stages = bench.stages(stack, f"finalists {number}", FINALISTS, **MODES["pinned"])
        pool = started(stack, stages.reference[0], 4 * PROCESSES)
        for trial in range(count):
            picked = rng.sample(pool, 2 * PROCESSES)
            plan = replace(FINALISTS, seed=CANDIDATES * number + trial)
            rounds = measure({"a": picked[:PROCESSES]}, picked[PROCESSES:], plan)
            ratio = compare(rounds, "a", REFERENCE)
            trials.append([ratio.value, *ratio.ends, *naive_interval(rounds, "a")])
    return {"spread": None, "told_apart": None, "cores": [], "trials": trials}


def started(stack, artifact, count):
    runners = [stack.enter_context(RunnerClient(LocalLaunch(), pinned=True)) for _ in range(count)]
    for runner in runners:
        runner.open("ort", artifact.file(artifact.meta["file"]), 1, 1)
        runner.prepare(FEED)
    return runners


def sequential(runner, seconds):
    """Milliseconds of single runs, one after the other for that long, the first fifth as warm-up."""
    end, warm_end = time.perf_counter() + seconds, time.perf_counter() + seconds / 5
    while time.perf_counter() < warm_end:
        runner.sample(1, 20)
    samples = []
    while time.perf_counter() < end:
        samples += runner.sample(1, 20)
    return np.array(samples) / 1e6


def repeat_once(bench, number, seconds):
    """int8 over fp32 by all ways, from fresh processes; every other repeat takes ours second."""
    found = {}
    with ExitStack() as stack:
        plan = replace(FINALISTS, block_ms=seconds * 1000 / (25 * 2 * 1.5), seed=number)
        stages = bench.stages(stack, f"ways {number}", plan, **MODES["pinned"])
        fp32, int8 = stages.reference[0], bench.compiled(stages, INT8)

        def ours():
            rounds = stages.interleaved({"int8": (int8, "ort")}, plan)
            summary = summarize(rounds, "int8", stages.spread)
            found.update(ours=summary.ratio.value, ends=summary.ratio.ends, verdict=summary.verdict)

        def theirs():
            with ExitStack() as short:
                (first,), (second,) = started(short, int8, 1), started(short, fp32, 1)
                a, b = sequential(first, seconds / 2), sequential(second, seconds / 2)
            found.update(
                mean=a.mean() / b.mean(), median=np.median(a) / np.median(b), minimum=a.min() / b.min()
            )

        for way in (ours, theirs) if number % 2 == 0 else (theirs, ours):
            way()
    return found


def naive_interval(rounds, name):
    """Ratio of means with an interval that takes every sample for independent, as a t-test would."""
    a, b = (
        np.concatenate([block.samples for block in rounds.series[one].blocks]) / rounds.series[one].loops
        for one in (name, REFERENCE)
    )
    error = math.hypot(*(x.std(ddof=1) / math.sqrt(len(x)) / x.mean() for x in (a, b)))
    ratio = a.mean() / b.mean()
    return ratio * (1 - 1.96 * error), ratio * (1 + 1.96 * error)


class Kept:
    """What was finished so far, in the file of figures: a run that was ended goes on from there."""

    def __init__(self, path, options):
        self.path, self.options = path, options
        earlier = earlier_figures(path)
        self.parts = earlier.get("parts", {}) if earlier.get("options") == options else {}

    def of(self, part):
        return self.parts.setdefault(part, [])

    def add(self, part, found):
        self.of(part).append(found)
        write_figures(self.path, {"options": self.options, "parts": self.parts})


def run(options):
    parts = names(options.parts)
    check_names("part", parts, [*TITLES, "ways"])
    begun, ticks = time.perf_counter(), cpu_ticks()
    kept = Kept(options.out, {"seconds": options.seconds})
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for part in parts:
            while (left := _wanted(part, options) - _done(kept, part)) > 0:
                number, count = len(kept.of(part)), min(CANDIDATES, left)
                if part == "ways":
                    kept.add(part, repeat_once(bench, number, options.seconds))
                elif part == "finalists":
                    kept.add(part, finalists(bench, number, count))
                else:
                    kept.add(part, searched(bench, part, number, count))
            tell(f"{part}: done after {time.perf_counter() - begun:.0f} s")
    ways = kept.parts.get("ways", [])
    return {
        "options": kept.options,
        "aa": {part: a_a_figures(kept.parts[part]) for part in TITLES if kept.parts.get(part)},
        "ways": way_figures(ways) if len(ways) > 1 else {},
        "repeats": len(ways),
        "steal_percent": 100 * (steal_share(ticks, cpu_ticks()) or 0.0),
        "load_average": list(os.getloadavg()),
        "seconds": time.perf_counter() - begun,
        "parts": kept.parts,
    }


def _wanted(part, options):
    return {"ways": options.repeats, "finalists": options.finalists}.get(part, options.aa)


def _done(kept, part):
    return len(kept.of(part)) if part == "ways" else sum(len(study["trials"]) for study in kept.of(part))


def main(argv=None):
    parser = parser_of(__doc__)
    parser.add_argument("--parts", default=",".join([*TITLES, "ways"]), help="which, with commas between")
    parser.add_argument("--aa", type=whole(0), default=300, help="A/A trials of each way to run one process")
    parser.add_argument(
        "--finalists", type=whole(0), default=100, help="A/A trials of several processes a side"
    )
    parser.add_argument("--repeats", type=whole(0), default=14, help="of the ratio of int8 to fp32")
    parser.add_argument("--seconds", type=float, default=1.0, help="sampling time of one such ratio")
    return finish(run, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
