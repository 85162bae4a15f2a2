"""Paretune finds the best ways to deploy a trained model on a given device.

The public names are loaded on first use, so that the runner on a device needs numpy and a runtime alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "ACCURACY": "search.workload.workload",
    "Metric": "search.workload.workload",
    "Split": "search.workload.workload",
    "Splits": "search.workload.workload",
    "Workload": "search.workload.workload",
    "ParetuneError": "profiles.errors",
    "UserError": "profiles.errors",
    "open_run": "search.run.session",
    "run_study": "search.run.session",
}

__all__ = [
    "ACCURACY",
    "Metric",
    "ParetuneError",
    "Split",
    "Splits",
    "UserError",
    "Workload",
    "open_run",
    "run_study",
]

if TYPE_CHECKING:
    from .profiles.errors import ParetuneError, UserError
    from .search.run.session import open_run, run_study
    from .search.workload.workload import ACCURACY, Metric, Split, Splits, Workload


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
