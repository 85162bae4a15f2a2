"""Schedules that tuning found, put into a module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .tuning import read_database, records_of


def ready(module: Any, target: Any) -> Any:
    """The module as it is tuned: schedules may also choose in which layout weights lie."""
    from tvm.relax import transform

    with target:
        return transform.AttachAttrLayoutFreeBuffers()(module)


def applied(module: Any, target: Any, folder: Path) -> tuple[Any, int, int]:
    """A module that is `ready` with the best schedules of a folder and its weights in their layouts; how many
    of its functions have a schedule, and how many there are."""
    import tvm
    from tvm.relax import transform
    from tvm.s_tir.meta_schedule.relax_integration import extract_tasks

    database = read_database(folder)
    tasks = [task.dispatched[0] for task in extract_tasks(module, target)]
    found = sum(bool(records_of(database, one, 1)) for one in tasks)
    with target, database, tvm.transform.PassContext(opt_level=3):
        passes = [
            transform.MetaScheduleApplyDatabase(),
            transform.SplitLayoutRewritePreproc(),
            transform.FoldConstant(),
            # Weights come out of tuples, which would be made and taken apart in each run.
            transform.CanonicalizeBindings(),
            transform.DeadCodeElimination(),
        ]
        return tvm.transform.Sequential(passes)(module), found, len(tasks)
