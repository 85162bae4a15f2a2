"""One search over a recorded space, by any of the strategies that are compared."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from benchmarks.exhaustive.account import Holdings
from benchmarks.exhaustive.driven import DRIVEN, DrivenSearch
from benchmarks.exhaustive.simple import SIMPLE, SimpleSearch
from benchmarks.exhaustive.table import load_recorded

STRATEGIES = (*SIMPLE, *DRIVEN)


def run_once(table: Path, strategy: str, seed: int) -> dict[str, Any]:
    """One search: its moments, and what it came to."""
    recorded = load_recorded(table)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, of what it calls experimental
        if strategy in SIMPLE:
            simple = SimpleSearch(recorded, SIMPLE[strategy], seed)
            simple.run()
            account = simple.account
            spent = (account.training_seconds, account.seconds, account.trainings)
            return _told(account.holdings, spent, trials=simple.trials, stopped="")
        driven = DrivenSearch(recorded, DRIVEN[strategy], seed)
        record = driven.run()
    spent = (driven.training_seconds, driven.clock.now(), driven.evaluator.trainings_begun)
    return _told(driven.holdings, spent, trials=len(record.trials), stopped=record.stopped)


def _told(
    holdings: Holdings, spent: tuple[float, float, int], *, trials: int, stopped: str
) -> dict[str, Any]:
    training_seconds, seconds, trainings = spent
    return {
        "history": [
            [round(m.training_seconds, 3), round(m.seconds, 3), m.trainings, round(m.share, 6)]
            for m in holdings.history
        ],
        "share": holdings.share,
        "training_seconds": training_seconds,
        "seconds": seconds,
        "trainings": trainings,
        "trials": trials,
        "stopped": stopped,
    }
