"""A study opened to be run: made where there is none, and held by this run alone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import optuna

from . import write_ahead
from .connect import Database
from .driver_lock import DriverLock, only_driver
from .lasting import Lasting
from .lost import Patience
from .same_problem import check_directions, existing, holds_nothing, made
from .storage import close_storage, open_storage
from .url import StorageUrl


@dataclass(frozen=True, kw_only=True)
class OpenedStudy:
    """The study, its storage, what keeps its transactions where that is a server, and how all is closed."""

    study: optuna.Study
    storage: Database
    lasting: Lasting | None
    closing: ExitStack


def opened(
    url: StorageUrl,
    name: str,
    problem: Mapping[str, object],
    objectives: Mapping[str, bool],
    sampler: optuna.samplers.BaseSampler,
    patience: Patience,
    lock: DriverLock | None = None,
) -> OpenedStudy:
    """Open the study of that name. `objectives`: metric -> higher is better. `lock`: its lock, where
    that is held already.

    Raises:
        UserError: the study exists and describes another problem, another run holds it, or the storage cannot
            be reached.
    """
    with ExitStack() as stack:
        storage, file = open_storage(url), url.file
        if file is not None:
            stack.callback(write_ahead.end, file)  # a SQLite file stands alone from there on
            write_ahead.begin(storage, file)
        stack.callback(close_storage, storage)
        lock = lock or stack.enter_context(only_driver(url, name))
        if lock is not None:
            lock.hold()
        study = existing(storage, name, problem, sampler)
        if study is not None and holds_nothing(study, problem):
            optuna.delete_study(study_name=name, storage=storage)
            study = None
        if study is None:
            study = made(storage, name, problem, objectives, sampler)
        check_directions(study, objectives, url.shown)
        lasting = None if lock is None else Lasting(storage, study._study_id, lock, url, patience)
        return OpenedStudy(study=study, storage=storage, lasting=lasting, closing=stack.pop_all())
