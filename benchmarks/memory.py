"""What a runner tells of its memory, against what another process reads of it from outside.

    python -m benchmarks.memory --out memory.json

For each runtime a model of 13 MB of weights and 13 MB of activations is loaded and run, while a thread of
this process reads `smaps_rollup` of the runner without a pause: page by page, where the runner has the
kernel's counters. Both have the same baseline, which is read from outside before anything is loaded.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.memory_told import settled_memory

from benchmarks.one_artifact import compiled

BACKENDS = ("ort", "tflite", "openvino", "tvm")
FEED = {"x": np.ones((1, 3, 224, 224), np.float32)}


class Outside:
    """Reads a process's resident memory from outside for as long as it is watched."""

    def __init__(self, pid: int) -> None:
        self._path = Path(f"/proc/{pid}/smaps_rollup")

    def now(self) -> int:
        """Bytes."""
        lines = self._path.read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))

    @contextmanager
    def watched(self) -> Iterator[list[int]]:
        """All that is read within a block."""
        seen, done = [self.now()], threading.Event()

        def read() -> None:
            while not done.is_set():
                seen.append(self.now())

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield seen
        finally:
            done.set()
            thread.join()
            seen.append(self.now())


def model() -> onnx.ModelProto:
    """Two convolutions and a matrix product."""
    rng = np.random.default_rng(0)
    shapes = {"w1": (64, 3, 3, 3), "w2": (64, 64, 3, 3), "w3": (64 * 56 * 56, 16)}
    weights = [
        numpy_helper.from_array(rng.normal(0, 0.05, shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "w2"], ["c"], pads=[1, 1, 1, 1], strides=[4, 4]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "w3"], ["y"]),
    ]
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 224, 224]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 16]),
    ]
    graph = helper.make_graph(nodes, "wide", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def compared(name: str) -> dict[str, dict[str, int]]:
    """Bytes of each phase, as told and as seen."""
    with tempfile.TemporaryDirectory() as folder:
        artifact = compiled(name, model(), FEED, Path(folder))
        with RunnerClient(LocalLaunch(), pinned=True) as runner:
            outside = Outside(runner.hello().pid)
            base = outside.now()
            with outside.watched() as load:
                opened = runner.open(name, artifact, 1, 1)
            feed = {opened.inputs[0].name: FEED["x"]}
            with outside.watched() as first:
                runner.prepare(feed)
            with outside.watched() as steady:
                told = settled_memory([runner], 1.0)
    assert told is not None
    memory = told.processes[0]
    seen = {"load": load, "first": first, "steady": steady}
    found = {
        phase: {"told": memory.above_base(phase), "seen": max(0, max(those) - base), "reads": len(those)}
        for phase, those in seen.items()
    }
    held = {"told": memory.steady_held - memory.base, "seen": steady[-1] - base, "reads": 1}
    return {**found, "held": held, "base": {"told": memory.base, "seen": base, "reads": 1}}


def main(argv: list[str] | None = None) -> int:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--backends", nargs="+", default=BACKENDS)
    options = parser.parse_args(argv)
    found = {name: compared(name) for name in options.backends}
    for name, phases in found.items():
        for phase, one in phases.items():
            told, seen = one["told"] / 1e6, one["seen"] / 1e6
            print(f"{name:9} {phase:7} told {told:7.2f} MB, seen {seen:7.2f} MB in {one['reads']} reads")
    options.out.write_text(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
