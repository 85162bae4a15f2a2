"""Measures what one core of this machine can do; run as a program, it prints its figures as JSON.

It needs numpy alone, and has to start in a fresh interpreter: the number of threads that numpy's matrix
library uses can only be set before numpy is imported. Runtimes add figures by programs of their own (see
`host.Probe`).
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

SIZE = 1024
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

    left = np.random.default_rng(0).standard_normal((SIZE, SIZE), dtype=np.float32)
    out = np.empty_like(left)
    seconds, runs = best_seconds(lambda: np.matmul(left, left, out=out), budget_s)
    source = f"measured here by numpy {np.__version__} sgemm {SIZE}, one thread, best of {runs}"
    return {"value": 2 * SIZE**3 / seconds / 1e9, "source": source}


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


def main() -> None:
    """Print all figures as one JSON object: names of precisions, and "bandwidth"."""
    json.dump({"fp32": measure_sgemm(), "bandwidth": measure_copy()}, sys.stdout)


if __name__ == "__main__":
    main()
