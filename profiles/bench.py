"""Measures what one core of this machine can do; run as a program, it prints its figures as JSON.

It stands alone (numpy, and ONNX Runtime where installed), because it has to start in a fresh interpreter: the
number of threads that numpy's matrix library uses can only be set before numpy is imported.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "BLIS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
"""Environment that this program must be started with."""

_SIZE = 1024
_COPY_BYTES = 64 * 2**20


def best_seconds(function: Callable[[], object], budget_s: float, least: int = 3) -> tuple[float, int]:
    """Shortest of at least `least` runs within about `budget_s` seconds, and how many runs there were."""
    function()
    best, runs, start = float("inf"), 0, time.perf_counter()
    while runs < least or time.perf_counter() - start < budget_s:
        before = time.perf_counter()
        function()
        best, runs = min(best, time.perf_counter() - before), runs + 1
    return best, runs


def measure_sgemm(budget_s: float = 0.4) -> dict[str, Any]:
    """Giga operations per second (a multiply-add is two) of a 1024 x 1024 x 1024 product in float32."""
    import numpy as np

    left = np.random.default_rng(0).standard_normal((_SIZE, _SIZE), dtype=np.float32)
    out = np.empty_like(left)
    seconds, runs = best_seconds(lambda: np.matmul(left, left, out=out), budget_s)
    source = f"measured here by numpy {np.__version__} sgemm {_SIZE}, one thread, best of {runs}"
    return {"value": 2 * _SIZE**3 / seconds / 1e9, "source": source}


def measure_copy(budget_s: float = 0.3) -> dict[str, Any]:
    """Gigabytes per second of a copy between two 64 MiB arrays; bytes read and bytes written both count."""
    import numpy as np

    source = np.zeros(_COPY_BYTES, dtype=np.uint8)
    target = np.ones_like(source)
    seconds, runs = best_seconds(lambda: np.copyto(target, source), budget_s)
    text = (
        f"measured here by numpy {np.__version__} copy of {_COPY_BYTES // 2**20} MiB "
        f"(read and write counted), one thread, best of {runs}"
    )
    return {"value": 2 * _COPY_BYTES / seconds / 1e9, "source": text}


def measure_int8(budget_s: float = 0.3) -> dict[str, Any] | None:
    """Giga operations per second of ONNX Runtime's integer matrix product; None where it is not installed."""
    try:
        import numpy as np
        import onnxruntime as ort
        from onnx import TensorProto, helper
    except ImportError:
        return None
    shape = [_SIZE, _SIZE]
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
        f"measured here by onnxruntime {ort.__version__} MatMulInteger {_SIZE} (uint8 x int8), one thread, "
        f"best of {runs}"
    )
    return {"value": 2 * _SIZE**3 / seconds / 1e9, "source": source}


def main() -> None:
    """Print all figures as one JSON object: names of precisions, and "bandwidth"."""
    figures = {"fp32": measure_sgemm(), "bandwidth": measure_copy(), "int8": measure_int8()}
    json.dump({name: figure for name, figure in figures.items() if figure}, sys.stdout)


if __name__ == "__main__":
    main()
