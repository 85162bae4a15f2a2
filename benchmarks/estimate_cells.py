"""Cells of NAS-Bench-201 as layers, and the table of their latencies on four devices.

The network around a cell: a stem, three stages of five cells at 16, 32 and 64 channels on images of 32 x 32,
a residual block that halves the image between stages, and a classifier.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from paretune.backends.estimate.costs import Kernel, LayerCost, ModelCost
from paretune.backends.estimate.situation import Situation
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.errors import UserError

STAGES = ((16, 32), (32, 16), (64, 8))
CELLS = 5
DEGENERATE = 10.0
"""An accuracy in percent that is no better than chance: such latencies mean nothing, as the data say."""
_DATA = Path(__file__).parent / "data" / "devices"
Edges = dict[tuple[int, int], str]


@dataclass(frozen=True, kw_only=True)
class RecordedDevice:
    """A column of the table: what it was recorded on. `compiled`: the graph was exported, so what reaches no
    output is gone and operators are fused; otherwise every operator runs by itself."""

    column: str
    situation: Situation
    compiled: bool


def recorded_devices() -> tuple[RecordedDevice, ...]:
    """The four devices; where the sources do not say how many threads, it is the runtime's default."""
    pi, phone = load_profile("raspberry-pi-4"), load_profile(str(_DATA / "pixel-3.yaml"))
    server, card = (load_profile(str(_DATA / f"{name}.yaml")) for name in ("xeon-gold-6240", "titan-rtx"))
    eager = "operator by operator"
    return (
        RecordedDevice(column="raspi4", situation=Situation(pi, "compiled graph"), compiled=True),
        RecordedDevice(column="pixel3", situation=Situation(phone, "compiled graph"), compiled=True),
        RecordedDevice(column="gold_6240", situation=Situation(server, eager, 18), compiled=False),
        RecordedDevice(column="titan_rtx_1", situation=Situation(card, eager), compiled=False),
    )


@dataclass(frozen=True, kw_only=True)
class CellTable:
    """Cells as they are written, and their latencies by column in milliseconds."""

    cells: tuple[str, ...]
    latencies: dict[str, NDArray[np.float64]]


def read_table(path: Path) -> CellTable:
    """The table without its degenerate cells."""
    try:
        table = pd.read_csv(path)
        table = table[table["cifar10_valid"] > DEGENERATE + 0.01]
        columns = {
            one.column: table[f"latency_ms_{one.column}"].to_numpy(float) for one in recorded_devices()
        }
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            "this is not the table of recorded latencies",
            place=str(path),
            found=str(error),
            accepted="nas201_hardware.csv.gz: a column `arch`, one `cifar10_valid`, and latencies by device",
        ) from error
    return CellTable(cells=tuple(table["arch"]), latencies=columns)


def edges_of(cell: str) -> Edges:
    """The operation on each edge of `|op~0|+|op~0|op~1|+|op~0|op~1|op~2|`."""
    found = {}
    for node, text in enumerate(cell.split("+"), 1):
        for one in text.strip("|").split("|"):
            operation, source = one.split("~")
            found[int(source), node] = operation
    return found


def without_dead(edges: Edges) -> Edges:
    """The edges from which something reaches the cell's output."""
    reaching = {3}
    for node in (2, 1, 0):
        if any(a == node and b in reaching and op != "none" for (a, b), op in edges.items()):
            reaching.add(node)
    return {edge: op for edge, op in edges.items() if edge[1] in reaching and op != "none"}


def cell_cost(cell: str, compiled: bool) -> ModelCost:
    """What the network of a cell costs."""
    edges = edges_of(cell)
    edges = without_dead(edges) if compiled else edges
    layers = list(_convolution(3, 16, 3, 32, compiled, relu=False))
    for stage, (channels, size) in enumerate(STAGES):
        if stage:
            layers += _reduction(channels, size, compiled)
        for _ in range(CELLS):
            layers += _cell(edges, channels, size, compiled)
    layers += _head(compiled)
    return ModelCost(layers=tuple(layers), peak_elements=4.0 * 16 * 32 * 32)


def _convolution(
    inputs: int, outputs: int, window: int, size: int, compiled: bool, relu: bool = True, stride: int = 1
) -> Iterator[LayerCost]:
    """With its norm and activation, which a compiled graph has in the convolution itself."""
    kernel = Kernel.CONVOLUTION if window > 1 else Kernel.POINTWISE
    written = outputs * size * size
    weights = inputs * outputs * window**2
    read = inputs * size * size * stride**2
    if relu and not compiled:
        yield LayerCost(kernel=Kernel.ELEMENTWISE, op="relu", read=read, written=read)
    yield LayerCost(
        kernel=kernel, macs=weights * size * size, weights=weights, read=read, written=written, op="conv"
    )
    if not compiled:
        yield LayerCost(
            kernel=Kernel.NORM, op="batch norm", weights=2 * outputs, read=written, written=written
        )


def _cell(edges: Edges, channels: int, size: int, compiled: bool) -> Iterator[LayerCost]:
    volume = channels * size * size
    for operation in edges.values():
        yield from _operation(operation, channels, size, compiled)
    into = [node for _, node in edges]
    adds = len(into) - len(set(into))
    for _ in range(adds):
        yield LayerCost(kernel=Kernel.ELEMENTWISE, op="add", read=2 * volume, written=volume)


def _operation(operation: str, channels: int, size: int, compiled: bool) -> Iterator[LayerCost]:
    volume = channels * size * size
    if operation == "avg_pool_3x3":
        yield LayerCost(kernel=Kernel.POOL, op="pool", read=volume, written=volume)
    elif operation == "none":
        yield LayerCost(kernel=Kernel.ELEMENTWISE, op="zero", read=volume, written=volume)
    elif operation != "skip_connect":
        window = 3 if operation == "nor_conv_3x3" else 1
        yield from _convolution(channels, channels, window, size, compiled)


def _reduction(channels: int, size: int, compiled: bool) -> Iterator[LayerCost]:
    volume = channels * size * size
    yield from _convolution(channels // 2, channels, 3, size, compiled, stride=2)
    yield from _convolution(channels, channels, 3, size, compiled)
    yield LayerCost(kernel=Kernel.POOL, op="pool", read=2 * volume, written=volume / 2)
    yield from _convolution(channels // 2, channels, 1, size, True)
    yield LayerCost(kernel=Kernel.ELEMENTWISE, op="add", read=2 * volume, written=volume)


def _head(compiled: bool) -> Iterator[LayerCost]:
    channels, size = STAGES[-1]
    volume = channels * size * size
    if not compiled:
        yield LayerCost(kernel=Kernel.NORM, op="batch norm", read=volume, written=volume)
    yield LayerCost(kernel=Kernel.NORM, op="mean", read=volume, written=channels)
    yield LayerCost(
        kernel=Kernel.PRODUCT, op="gemm", macs=channels * 10, weights=channels * 10, read=channels, written=10
    )
