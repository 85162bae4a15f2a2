"""Where the data of a recorded space lie."""

from __future__ import annotations

import os
from pathlib import Path

DATA = "PARETUNE_BENCHMARK_DATA"
"""Environment variable: the folder that holds them, where the study file names none."""


def data_path(named: str, usual: str) -> Path:
    """The path that the study file names (from the current folder), else `usual` in the folder of `DATA`."""
    return Path(named) if named else Path(os.environ.get(DATA, "data")) / usual
