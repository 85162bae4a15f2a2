"""How far a measured latency ratio can be trusted: our protocol against sequential mean and median.

1. Spread: a small convolutional net in fp32 and in int8 on ONNX Runtime. The ratio of their latencies is
   taken again and again, each time from fresh processes, by our protocol and sequentially (one model, then
   the other, in the same wall time, as the runtimes' own tools do). Printed: standard deviation of the ratio.
2. A/A coverage: the fp32 net against itself in other processes, where the true ratio is 1. Printed: how often
   the 95 % interval holds it; for comparison also an interval that takes every sample for independent.

    python -m benchmarks.measurement --out FILE.json [--repeats 14] [--aa 300] [--seconds 1.0]
"""

from __future__ import annotations

import math
import random
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.measure.environment import cpu_ticks, steal_share
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import REFERENCE, LatencyPlan
from paretune.backends.measure.summary import compare, summarize
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.precision import Precision

from benchmarks.command import finish, parser_of

PROCESSES = 5
TRIALS_PER_POOL = 10
FEED = {"x": np.random.default_rng(1).normal(size=(1, 3, 32, 32)).astype(np.float32)}


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


def compiled(folder):
    write_net(folder / "net.onnx")
    source = SourceModel(path=folder / "net.onnx", format="onnx")
    calibration = {"x": np.random.default_rng(2).normal(size=(32, 3, 32, 32)).astype(np.float32)}
    found = {}
    for precision in (Precision.FP32, Precision.INT8):
        into = folder / str(precision)
        into.mkdir()
        with RunnerClient(LocalLaunch()) as runner:
            settings = CompileSettings(precision=precision)
            found[precision] = runner.compile("ort", source, settings, calibration, into).path
    return found[Precision.FP32], found[Precision.INT8]


def started(stack, artifact, count):
    runners = [stack.enter_context(RunnerClient(LocalLaunch())) for _ in range(count)]
    for runner in runners:
        runner.open("ort", artifact, 1, 1)
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


def repeat_once(fp32, int8, plan, before):
    """int8 over fp32 by all ways, from fresh processes; every other repeat takes ours second."""
    found = {}

    def ours():
        before = time.perf_counter()
        with ExitStack() as stack:
            subject, reference = started(stack, int8, PROCESSES), started(stack, fp32, PROCESSES)
            before_rounds = time.perf_counter()
            rounds = measure({"int8": subject}, reference, plan, ticks=cpu_ticks)
            spent = time.perf_counter() - before_rounds
        summary = summarize(rounds, "int8")
        ratio = summary.ratio
        found.update(ours=ratio.value, half=(ratio.high - ratio.low) / 2 / ratio.value, seconds=spent)
        found.update(total_seconds=time.perf_counter() - before, verdict=summary.verdict)

    def theirs(seconds):
        with ExitStack() as stack:
            (first,), (second,) = started(stack, int8, 1), started(stack, fp32, 1)
            a, b = sequential(first, seconds / 2), sequential(second, seconds / 2)
        found.update(mean=a.mean() / b.mean(), median=np.median(a) / np.median(b), minimum=a.min() / b.min())

    if len(before) % 2 == 0:
        ours()
        theirs(found["seconds"])
    else:
        theirs(before[-1]["seconds"])
        ours()
    return found


def naive_interval(rounds):
    """Ratio of means with an interval that takes every sample for independent, as a t-test would."""
    a, b = (
        np.concatenate([block.samples for block in rounds.series[name].blocks]) / rounds.series[name].loops
        for name in ("a", REFERENCE)
    )
    error = math.hypot(*(x.std(ddof=1) / math.sqrt(len(x)) / x.mean() for x in (a, b)))
    ratio = a.mean() / b.mean()
    return ratio * (1 - 1.96 * error), ratio * (1 + 1.96 * error)


def a_a(artifact, trials, plan, processes):
    """Shares of trials whose interval holds 1: ours and the naive one; and the ratios' standard deviation.

    Trials that share processes share their luck, so the processes are started anew every few trials.
    """
    rng, held, naive, ratios, halves = random.Random(0), 0, 0, [], []
    pools = ExitStack()
    for trial in range(trials):
        if trial % TRIALS_PER_POOL == 0:
            pools.close()
            pool = started(pools, artifact, 4 * PROCESSES)
        picked = rng.sample(pool, 2 * processes)
        plan = LatencyPlan(**{**vars(plan), "seed": trial})
        rounds = measure({"a": picked[:processes]}, picked[processes:], plan)
        found, (low, high) = compare(rounds, "a", REFERENCE), naive_interval(rounds)
        held += found.low <= 1 <= found.high
        naive += low <= 1 <= high
        ratios.append(found.value)
        halves.append((found.high - found.low) / 2)
    pools.close()
    spread = {"sd": statistics.stdev(ratios), "interval_half": statistics.mean(halves)}
    return {"coverage": held / trials, "naive_coverage": naive / trials, **spread}


def process_spread(pool, plan):
    """Relative standard deviation between processes of one artifact.

    What the medians of odd and of even rounds have in common belongs to the process; noise does not repeat.
    """
    rounds = measure({f"p{i}": runner for i, runner in enumerate(pool)}, None, plan)
    quickest = np.log([[min(b.samples) / s.loops for b in s.blocks] for s in rounds.series.values()])
    quickest -= np.median(quickest, axis=0)
    odd, even = np.median(quickest[:, 1::2], axis=1), np.median(quickest[:, 0::2], axis=1)
    return math.sqrt(max(0.0, float(np.cov(odd, even)[0, 1])))


def run(options):
    begun, ticks = time.perf_counter(), cpu_ticks()
    block_ms = options.seconds * 1000 / (25 * 2 * 1.5)
    plan = LatencyPlan(block_ms=block_ms, warm_up_s=0.02)
    with tempfile.TemporaryDirectory() as folder:
        fp32, int8 = compiled(Path(folder))
        repeats = []
        for _ in range(options.repeats):
            repeats.append(repeat_once(fp32, int8, plan, repeats))
        small = LatencyPlan(block_ms=4.0, warm_up_s=0.005)
        with ExitStack() as short:
            spread = process_spread(started(short, fp32, 4 * PROCESSES), small)
        several = a_a(fp32, options.aa, small, PROCESSES)
        single = a_a(fp32, max(2, options.aa // 4), small, 1)

    def sd(way):
        values = [found[way] for found in repeats]
        return 100 * statistics.stdev(values) / statistics.mean(values)

    ways = {"ratio": "ours", **{f"sequential_{way}": way for way in ("mean", "median", "minimum")}}
    return {
        **{f"{name}_sd_percent": sd(way) for name, way in ways.items()},
        "ratio_int8_over_fp32": statistics.median(found["ours"] for found in repeats),
        "ratio_interval_half_percent": 100 * statistics.mean(found["half"] for found in repeats),
        **{f"aa_{what}_percent": 100 * several[what] for what in ("coverage", "sd", "interval_half")},
        **{f"aa_single_process_{what}_percent": 100 * value for what, value in single.items()},
        "aa_naive_coverage_percent": 100 * single["naive_coverage"],
        "process_spread_percent": 100 * spread,
        "repeats": options.repeats,
        "aa_trials": options.aa,
        "sampling_seconds_per_ratio": statistics.mean(found["seconds"] for found in repeats),
        "seconds_per_ratio_with_process_starts": statistics.mean(found["total_seconds"] for found in repeats),
        "steal_percent": 100 * (steal_share(ticks, cpu_ticks()) or 0.0),
        "seconds": time.perf_counter() - begun,
        "raw": repeats,
    }


ROWS = [
    ("standard deviation of a ratio over {repeats} repeats", ""),
    ("  our protocol", "ratio_sd_percent"),
    ("  sequential, mean", "sequential_mean_sd_percent"),
    ("  sequential, median", "sequential_median_sd_percent"),
    ("  sequential, minimum", "sequential_minimum_sd_percent"),
    ("share of 95 % intervals that hold 1 in {aa_trials} A/A trials", ""),
    ("  ours, 5 processes a side", "aa_coverage_percent"),
    ("  ours, 1 process a side", "aa_single_process_coverage_percent"),
    ("  every sample taken for independent", "aa_naive_coverage_percent"),
    ("difference between processes of one artifact", "process_spread_percent"),
    ("processor time taken by other machines", "steal_percent"),
]


def show(found):
    for text, key in ROWS:
        print(f"{text.format(**found):62s}" + (f"{found[key]:7.2f} %" if key else ""))
    print(f"took {found['seconds']:.0f} s")


def main(argv=None):
    parser = parser_of(__doc__)
    parser.add_argument("--repeats", type=int, default=14)
    parser.add_argument("--aa", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=1.0, help="sampling time of one ratio")
    return finish(run, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
