"""Small convolutional networks drawn at random, as ONNX, and their latencies on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.onnx_graph.session import OrtSession

BLOCK_SECONDS = 0.01


@dataclass
class Net:
    """A network in the making: nodes and weights so far, the last tensor, its channels and its size."""

    rng: np.random.Generator
    tensor: str
    channels: int
    size: int

    def __post_init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, inputs: list[str], **attributes: object) -> None:
        name = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], **attributes))
        self.tensor = name

    def weight(self, *shape: int) -> str:
        name = f"w{len(self.weights)}"
        values = self.rng.normal(0, 0.1, shape).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, name))
        return name

    def convolution(self, outputs: int, window: int, groups: int = 1) -> None:
        weight = self.weight(outputs, self.channels // groups, window, window)
        self.add("Conv", [self.tensor, weight], pads=[window // 2] * 4, group=groups)
        self.add("Relu", [self.tensor])
        self.channels = outputs

    def halved(self) -> None:
        self.add("MaxPool", [self.tensor], kernel_shape=[2, 2], strides=[2, 2])
        self.size //= 2


def random_net(rng: np.random.Generator) -> onnx.ModelProto:
    """A stem, a few blocks of one of four kinds at growing width, and a classifier."""
    size = int(rng.choice([16, 24, 32]))
    net = Net(rng, "x", 3, size)
    net.convolution(int(rng.choice([8, 12, 16, 24])), 3)
    for block in range(int(rng.integers(2, 9))):
        kind = int(rng.integers(4))
        wide = int(net.channels * rng.choice([1, 1, 1.5]))
        before = net.tensor
        if kind == 0:
            net.convolution(wide, 3)
        elif kind == 1:
            net.convolution(net.channels, 3, groups=net.channels)
            net.convolution(wide, 1)
        elif kind == 2:
            net.convolution(net.channels, 3)
            net.add("Add", [net.tensor, before])
        else:
            net.convolution(wide, 1)
        if block in (1, 3) and net.size > 8:
            net.halved()
    net.add("GlobalAveragePool", [net.tensor])
    net.add("Flatten", [net.tensor])
    net.add("MatMul", [net.tensor, net.weight(net.channels, 10)])
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, size, size])]
    outputs = [helper.make_tensor_value_info(net.tensor, TensorProto.FLOAT, [1, 10])]
    graph = helper.make_graph(net.nodes, "net", values, outputs, net.weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def latencies(
    nets: Sequence[onnx.ModelProto], threads: Sequence[int], rounds: int
) -> dict[int, NDArray[np.float64]]:
    """Milliseconds of each by number of threads: the least of its blocks' means, in rounds over all of them
    in random order, so that what disturbs the machine disturbs all alike."""
    found = {count: np.full(len(nets), np.inf) for count in threads}
    sessions = [
        (n, count, OrtSession(net.SerializeToString(), count))
        for n, net in enumerate(nets)
        for count in threads
    ]
    rng = np.random.default_rng(0)
    for _ in range(rounds):
        for place in rng.permutation(len(sessions)):
            number, count, session = sessions[place]
            found[count][number] = min(found[count][number], _block(session))
    for *_, session in sessions:
        session.close()
    return found


def _block(session: OrtSession) -> float:
    feed = {"x": np.ones(session.inputs[0].shape, np.float32)}
    for _ in range(3):  # the caches are its own again
        session.run(feed)
    start, runs = time.perf_counter(), 0
    while time.perf_counter() - start < BLOCK_SECONDS:
        session.run(feed)
        runs += 1
    return 1e3 * (time.perf_counter() - start) / runs
