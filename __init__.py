"""Paretune finds the best ways to deploy a trained model on a given device.

Each command has a call of its name (docs/python.md). The public names are loaded on first use, so that the
runner on a device needs numpy and a runtime alone.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_ROOMS = {
    "search.workload.metrics": "ACCURACY AUC F1_MACRO MAE MAP50 MIOU PERPLEXITY PSNR RMSE",
    "search.workload.workload": "Metric Split Splits Workload",
    "profiles.errors": "ParetuneError UserError",
    "reports.api.beginning": "devices init plan runtimes",
    "reports.api.sessions": "retarget run",
    "reports.api.runs": "Run open_run",
    "reports.api.answers": "choose explain export report",
    "reports.api.pushing": "push",
    "reports.api.checks": "monitor recheck regress verify",
    "reports.api.nights": "nightly store",
}
"""Where each public name is."""
_PUBLIC = {name: room for room, names in _ROOMS.items() for name in names.split()}

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
    "Run",
    "Split",
    "Splits",
    "UserError",
    "Workload",
    "choose",
    "devices",
    "explain",
    "export",
    "init",
    "monitor",
    "nightly",
    "open_run",
    "plan",
    "push",
    "recheck",
    "regress",
    "report",
    "retarget",
    "run",
    "runtimes",
    "store",
    "verify",
]

if TYPE_CHECKING:
    from .profiles.errors import ParetuneError, UserError
    from .reports.api.answers import choose, explain, export, report
    from .reports.api.beginning import devices, init, plan, runtimes
    from .reports.api.checks import monitor, recheck, regress, verify
    from .reports.api.nights import nightly, store
    from .reports.api.pushing import push
    from .reports.api.runs import Run, open_run
    from .reports.api.sessions import retarget, run
    from .search.workload.metrics import ACCURACY, AUC, F1_MACRO, MAE, MAP50, MIOU, PERPLEXITY, PSNR, RMSE
    from .search.workload.workload import Metric, Split, Splits, Workload


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with warnings.catch_warnings():  # in a notebook, of a progress bar that nobody asked for
        warnings.filterwarnings("ignore", message="IProgress not found")
        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
