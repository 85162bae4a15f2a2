"""Whether a study that lies in a storage already describes the problem that is to be searched."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import TrialState

from ...profiles.errors import UserError
from ...profiles.words import escaped
from ..record.digest import canonical_json
from ..record.estimated import RESTS_ON
from .connect import NoStudiesError, check_place
from .storage import close_storage, open_storage, storage_trouble_explained
from .transactions import together
from .trouble import MEND_DAMAGE
from .url import StorageUrl

PROBLEM = "problem"
"""The attribute of a study that holds what it searches."""


def evaluated_before(url: StorageUrl, name: str, problem: Mapping[str, Any], *, own: bool) -> int:
    """How many trials the study has already; 0 where there is none. Creates nothing.

    `own`: the storage is the run's own file, whose directory is made when the study starts.

    Raises:
        UserError: the study exists and describes another problem, or the storage cannot be reached.
    """
    file = url.file
    if file is not None:
        check_place(file, make=True)
        if not own and not file.parent.is_dir():
            raise UserError(
                "the study's storage cannot be opened",
                place=url.shown,
                found=f"there is no directory {escaped(str(file.parent))}",
                remedy="make it, or name another place",
            )
        if not file.is_file() or not file.stat().st_size:
            return 0
    with storage_trouble_explained(url), suppress(NoStudiesError):
        storage = open_storage(url, make=False)
        try:
            study = existing(storage, name, problem, None)
            empty = study is None or holds_nothing(study, problem)
            return 0 if study is None or empty else len(study.get_trials(deepcopy=False))
        finally:
            close_storage(storage)
    return 0


def existing(
    storage: optuna.storages.BaseStorage,
    name: str,
    problem: Mapping[str, Any],
    sampler: optuna.samplers.BaseSampler | None,
) -> optuna.Study | None:
    """The study of that name, None where there is none.

    Raises:
        UserError: it describes another problem.
    """
    if name not in optuna.get_all_study_names(storage):
        return None
    study = optuna.load_study(study_name=name, storage=storage, sampler=sampler)
    if not holds_nothing(study, problem):
        _refuse_other_problem(study, problem)
    return study


def made(
    storage: optuna.storages.RDBStorage,
    name: str,
    problem: Mapping[str, Any],
    objectives: Mapping[str, bool],
    sampler: optuna.samplers.BaseSampler,
) -> optuna.Study:
    """A new study, whole or not at all. `objectives`: metric -> higher is better.

    Raises:
        UserError: parts of one of that name are left.
    """
    try:
        with together(storage), warnings.catch_warnings():
            study = optuna.create_study(
                study_name=name, storage=storage, sampler=sampler, directions=_directions(objectives)
            )
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names(list(objectives))
            study.set_user_attr(PROBLEM, canonical_json(problem))
    except optuna.exceptions.DuplicatedStudyError:
        raise UserError(
            f"the study {name!r} cannot be made: parts of one are left in the storage", remedy=MEND_DAMAGE
        ) from None
    return study


def check_directions(study: optuna.Study, objectives: Mapping[str, bool], place: str) -> None:
    """Raises:
    UserError: the study does not search in the directions of these objectives.
    """
    if list(study.directions) != _directions(objectives):
        found = ", ".join(direction.name.lower() for direction in study.directions)
        raise UserError(
            f"the study {study.study_name!r} is damaged",
            place=place,
            found=f"it would {found or 'search nothing'}",
            accepted=", ".join(
                f"{'maximize' if up else 'minimize'} {name}" for name, up in objectives.items()
            ),
            remedy=MEND_DAMAGE,
        )


def _directions(objectives: Mapping[str, bool]) -> list[StudyDirection]:
    return [StudyDirection.MAXIMIZE if up else StudyDirection.MINIMIZE for up in objectives.values()]


def holds_nothing(study: optuna.Study, problem: Mapping[str, Any]) -> bool:
    """Whether nothing is lost when the study is made anew: a kill left it empty while it was being made, the
    uncompressed teacher never ran and the problem was changed since, or its estimates rest on other
    measurements by now."""
    trials = study.get_trials(deepcopy=False)
    if PROBLEM not in study.user_attrs:
        return not trials
    changed = study.user_attrs[PROBLEM] != canonical_json(problem)
    complete = any(trial.state is TrialState.COMPLETE for trial in trials)
    return changed and (not complete or _rests_on_others(_described(study), problem))


def _rests_on_others(before: Mapping[str, Any] | None, problem: Mapping[str, Any]) -> bool:
    """Whether both are estimated, and differ in nothing but what that rests on."""
    if not before or not {RESTS_ON} <= before.keys() & problem.keys():
        return False
    return {**before, RESTS_ON: ""} == {**json.loads(canonical_json(problem)), RESTS_ON: ""}


def _refuse_other_problem(study: optuna.Study, problem: Mapping[str, Any]) -> None:
    before = _described(study)
    if before is None:
        raise UserError(
            f"the storage has a study {study.study_name!r} that Paretune did not make, or that is damaged",
            remedy="give this study another name",
        )
    now = json.loads(canonical_json(problem))
    changed = [key for key in sorted({*before, *now}) if before.get(key) != now.get(key)]
    if changed:
        lines = [f"{key}: {_short(before.get(key))} -> {_short(now.get(key))}" for key in changed]
        raise UserError(
            f"the study {study.study_name!r} exists and describes another problem",
            found="; ".join(lines),
            accepted="the same problem; budget, sampler, preferences and finalists may change",
            remedy="give this study another `name`, or undo the change (students already trained are "
            "reused from the store either way)",
        )


def _described(study: optuna.Study) -> dict[str, Any] | None:
    """The problem that a study describes; None where it does not."""
    try:
        found = json.loads(study.user_attrs[PROBLEM])
    except (KeyError, ValueError, TypeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
