"""A plain network, and any model compiled in float for one backend of this machine, as benchmarks of sessions
want them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import ONNX, CompileSettings, SourceModel
from paretune.backends.registry import get_backend, probes
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.precision import Precision

SIDE = 32
"""Of the pictures, which have three channels."""


def convolutions(channels: int, depth: int) -> onnx.ModelProto:
    """So many convolutions, and a product: x [batch, 3, 32, 32] to y [batch, 10]."""
    rng, weights, nodes, before = np.random.default_rng(0), [], [], "x"
    for number in range(depth):
        shape = (channels, channels if number else 3, 3, 3)
        weights.append(numpy_helper.from_array(rng.normal(0, 0.05, shape).astype(np.float32), f"w{number}"))
        nodes.append(helper.make_node("Conv", [before, f"w{number}"], [f"c{number}"], pads=[1, 1, 1, 1]))
        nodes.append(helper.make_node("Relu", [f"c{number}"], [f"r{number}"]))
        before = f"r{number}"
    last = rng.normal(0, 0.05, (channels * SIDE * SIDE, 10)).astype(np.float32)
    weights.append(numpy_helper.from_array(last, "last"))
    nodes += [helper.make_node("Flatten", [before], ["f"]), helper.make_node("MatMul", ["f", "last"], ["y"])]
    ends = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, SIDE, SIDE]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 10]),
    ]
    graph = helper.make_graph(nodes, "convolutions", ends[:1], ends[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def compiled(name: str, made: onnx.ModelProto, feed: dict[str, Any], folder: Path) -> Path:
    """The model's artifact."""
    backend, source = get_backend(name), folder / "model.onnx"
    source.write_bytes(made.SerializeToString())
    if backend.source_format != ONNX:
        own = folder / f"model.{backend.source_format}"
        backend.from_onnx(source, feed, 1, own)
        source = own
    target = backend.target(load_profile("host", folder, probes()))
    settings = CompileSettings(precision=Precision.FP32, batch=1, check=False, target=target)
    into = folder / "made"
    into.mkdir()
    with RunnerClient(LocalLaunch()) as runner:
        asked = SourceModel(path=source, format=backend.source_format)
        return runner.compile(name, asked, settings, feed, into).path
