"""NVIDIA GPUs of the machine at hand, asked from the driver's own tool; no CUDA package is needed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from ..text.units import parse_bytes
from .schema import ByteFigure, Gpu

LISTING = ("--query-gpu=name,compute_cap,memory.total", "--format=csv,noheader")
"""Arguments of nvidia-smi for what `parse_gpus` reads."""

# Jetson boards: older JetPacks have no nvidia-smi, newer ones do not report memory (it is shared).
_JETSON_SM = {"Thor": "11.0", "Orin": "8.7", "Xavier": "7.2", "TX2": "6.2", "Nano": "5.3", "TX1": "5.3"}


def probe_gpus(command: str = "nvidia-smi", root: Path = Path("/")) -> tuple[Gpu, ...]:
    """The GPUs that `command` lists, in its order; a Jetson is known by the board's name under `root`.

    Returns () where there is no GPU, no driver, or the tool fails.
    """
    try:
        done = subprocess.run([command, *LISTING], capture_output=True, text=True, timeout=20, check=False)
        gpus = parse_gpus(done.stdout) if done.returncode == 0 else ()
    except (OSError, subprocess.TimeoutExpired):
        gpus = ()
    return gpus or _jetson_at(root)


def parse_gpus(listing: str) -> tuple[Gpu, ...]:
    """GPUs in the tool's output: lines of name, compute capability, memory. Other lines are passed over."""
    gpus = []
    for line in listing.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) == 3 and re.fullmatch(r"([2-9]|1[0-9])\.[0-9]", fields[1]):
            gpus.append(_gpu(fields[0], fields[1], fields[2]))
    return tuple(gpus)


def _gpu(name: str, sm: str, memory: str) -> Gpu:
    known = re.fullmatch(r"[1-9]\d* MiB", memory)
    figure = ByteFigure(value=parse_bytes(memory), source="memory.total of nvidia-smi") if known else None
    return Gpu(model=name, sm=sm, memory_bytes=figure, source="nvidia-smi on this machine")


def _jetson_at(root: Path) -> tuple[Gpu, ...]:
    try:
        return jetson((root / "proc/device-tree/model").read_text(errors="replace"))
    except OSError:
        return ()


def jetson(board: str) -> tuple[Gpu, ...]:
    """The GPU of a board by its name in the device tree; () where it is no Jetson that is known."""
    board = board.strip("\0 \n")
    if not re.search(r"Jetson|NVIDIA", board):
        return ()
    # The family's name comes before the size: an "Orin Nano" is an Orin.
    for word, sm in _JETSON_SM.items():
        if word in board:
            return (Gpu(model=board, sm=sm, source="name of the board in the device tree"),)
    return ()
