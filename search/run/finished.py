"""Whether a study has ended for good: running it again as its file is now would find nothing new."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

from ..driver.again import is_open
from ..driver.budget import Budget
from ..job.job import Job
from ..record.digest import canonical_json
from ..record.evaluation import StudyRecord
from ..storage.read_only import study_for_reading
from ..storage.study_store import StudyStore
from ..store.url import is_url
from .stored import keep_run_file_of

ENDED = "ended"
"""The attribute of a study that says how it ended; empty while a session is at work, or was interrupted."""
_ENDED_AS = {"settings", "by_budget", "evaluated", "seconds"}
_SETTINGS = {"sampler", "stop", "gate", "finalists", "measure", "prefer"}
"""Of the study file, beside budget and problem: what an ended study would go on by."""


def begins(studies: StudyStore) -> None:
    """A session is at work: until it ends well, the study is not finished."""
    studies.set(ENDED, "")


def ended(studies: StudyStore, job: Job, budget: Budget, evaluated: int, at: str) -> None:
    """Search and finalists came to their end, at that time."""
    plain = {
        "at": at,
        "settings": _settings(job),
        "by_budget": bool(budget.exhausted(evaluated)),
        "evaluated": evaluated,
        "seconds": budget.elapsed_seconds,
    }
    studies.set(ENDED, json.dumps(plain))


def finished_record(job: Job, environment: Mapping[str, Any]) -> StudyRecord | None:
    """The record of a study that a new session would not bring any further, which its directory knows of from
    then on; None where it would. `environment` is what the device tells of itself, where it is not this
    machine.

    Raises:
        UserError: the directory cannot be written.
    """
    with study_for_reading(job.places.storage, job.file.name) as studies:
        plain = studies.mapping(ENDED)
        if not set(plain) >= _ENDED_AS or plain["settings"] != _settings(job):
            return None
        goes_on = plain["by_budget"] and _room(job, plain)
        # A record that is damaged is made anew by a session.
        if goes_on or is_open(studies.records(), environment) or not studies.readable:
            return None
        record = studies.record()
    keep_run_file_of(job)
    return _with_store_here(record, job)


def _with_store_here(record: StudyRecord, job: Job) -> StudyRecord:
    """The record, which names the store of another machine where it was run on that."""
    gone = not is_url(record.store) and not os.path.isdir(record.store)  # noqa: PTH112 - pathlib's raises
    return replace(record, store=job.places.store_name) if gone else record


def _room(job: Job, plain: dict[str, Any]) -> bool:
    """Whether the budget of the file lets a search go on that has used so much."""
    budget = job.file.budget
    numbers = [plain["evaluated"], plain["seconds"]]
    used, seconds = (float(one) if isinstance(one, int | float) else 0.0 for one in numbers)
    return used < (budget.trials or inf) and seconds < (budget.time or inf)


def _settings(job: Job) -> str:
    asked = {"deploy"} if job.file.deploy.tries else set()
    asked |= {"sustained"} if job.file.sustained else set()
    return canonical_json(job.file.model_dump(mode="json", include=_SETTINGS | asked))
