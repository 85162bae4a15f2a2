"""Paretune finds the best ways to deploy a trained model on a given device.

The public names are loaded on first use, so that the runner on a device needs numpy and a runtime alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "ACCURACY": "search.workload.metrics",
    "AUC": "search.workload.metrics",
    "F1_MACRO": "search.workload.metrics",
    "MAE": "search.workload.metrics",
    "MAP50": "search.workload.metrics",
    "MIOU": "search.workload.metrics",
    "PERPLEXITY": "search.workload.metrics",
    "PSNR": "search.workload.metrics",
    "RMSE": "search.workload.metrics",
    "Metric": "search.workload.workload",
    "Split": "search.workload.workload",
    "Splits": "search.workload.workload",
    "Workload": "search.workload.workload",
    "ParetuneError": "profiles.errors",
    "UserError": "profiles.errors",
    "open_run": "search.run.stored",
    "run_study": "search.run.session",
}

__all__ = [
    "ACCURACY",
    "AUC",
    "F1_MACRO",
    "MAE",
    "MAP50",
    "MIOU",
    "PERPLEXITY",
    "PSNR",
    "RMSE",
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
    from .search.run.session import run_study
    from .search.run.stored import open_run
    from .search.workload.metrics import ACCURACY, AUC, F1_MACRO, MAE, MAP50, MIOU, PERPLEXITY, PSNR, RMSE
    from .search.workload.workload import Metric, Split, Splits, Workload


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)
