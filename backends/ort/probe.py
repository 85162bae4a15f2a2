"""Measures one core's 8-bit integer products; run as a program, prints its figure (see `host.Probe`)."""

from __future__ import annotations

import json
import sys
from typing import Any

from paretune.profiles.devices.bench import SIZE, best_seconds


def measure_int8(budget_s: float = 0.3) -> dict[str, Any]:
    """Giga operations per second of ONNX Runtime's integer matrix product."""
    import numpy as np
    import onnxruntime as ort
    from onnx import TensorProto, helper

    shape = [SIZE, SIZE]
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["y"])],
        "int8",
        [
            helper.make_tensor_value_info("a", TensorProto.UINT8, shape),
            helper.make_tensor_value_info("b", TensorProto.INT8, shape),
        ],
        [helper.make_tensor_value_info("y", TensorProto.INT32, shape)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    feed = {
        "a": random.integers(0, 128, shape, dtype=np.uint8),
        "b": random.integers(-64, 64, shape, dtype=np.int8),
    }
    seconds, runs = best_seconds(lambda: session.run(None, feed), budget_s)
    source = (
        f"measured here by onnxruntime {ort.__version__} MatMulInteger {SIZE} (uint8 x int8), one thread, "
        f"best of {runs}"
    )
    return {"value": 2 * SIZE**3 / seconds / 1e9, "source": source}


if __name__ == "__main__":
    json.dump({"int8": measure_int8()}, sys.stdout)
