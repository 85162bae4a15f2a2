"""A study in Optuna's storage: opening, resuming, and reading it back as a record.

It is an ordinary Optuna study; Optuna's own tools open it. Each trial carries its evaluation whole, as JSON,
in a user attribute; the study carries the problem that it describes.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from ...profiles.errors import UserError
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Outcome, StudyRecord, TrialRecord
from ..record.kept import KEPT, written
from ..record.plausible import LARGEST
from . import frame as frame_of
from .driver_lock import DriverLock
from .importance import importances
from .lasting import Lasting
from .lost import Patience
from .opened import opened
from .storage import close_storage, open_storage, storage_trouble_explained
from .transactions import together
from .trial_records import (
    ATTEMPTS,
    DUPLICATE,
    SECONDS,
    STARTED,
    attempts,
    duplicate_record,
    objectives_of,
    repeats,
    storable,
    trial_record,
)
from .url import StorageUrl

optuna.logging.set_verbosity(optuna.logging.WARNING)

_RECORD = "record"
_STATES = {
    Outcome.COMPLETE: TrialState.COMPLETE,
    Outcome.GATED: TrialState.PRUNED,
    Outcome.REFUSED: TrialState.PRUNED,
    Outcome.FAILED: TrialState.FAIL,
}


class StudyStore:
    """One study. `storage` is where it lies, if several writes shall end in one transaction there.

    `lasting` keeps them on a server that goes away and comes back, `closing` says what `close` does.
    """

    def __init__(
        self,
        study: optuna.Study,
        objectives: tuple[str, ...],
        storage: optuna.storages.RDBStorage | None = None,
        *,
        lasting: Lasting | None = None,
        closing: ExitStack | None = None,
    ) -> None:
        self.study, self.objectives, self._storage = study, objectives, storage
        self._lasting, self._closing = lasting, closing or ExitStack()
        if closing is None and storage is not None:
            self._closing.callback(close_storage, storage)
        self._evaluated: dict[int, TrialRecord] = {}  # what ended does not change any more

    # -- opening ----------------------------------------------------------------------------------

    @classmethod
    def create_or_resume(
        cls,
        *,
        url: StorageUrl,
        name: str,
        problem: Mapping[str, Any],
        objectives: Mapping[str, bool],
        sampler: optuna.samplers.BaseSampler,
        patience: Patience | None = None,
        lock: DriverLock | None = None,
    ) -> StudyStore:
        """Open the study, making it if it is not there. `objectives`: metric -> higher is better. `patience`:
        for how long a server is waited for that goes away while the study is run; `lock`: its
        lock, where that is held already.

        Raises:
            UserError: the study exists and describes another problem, another run holds it, or the storage
                cannot be reached.
        """
        found = opened(url, name, problem, objectives, sampler, patience or Patience(), lock)
        return cls(
            found.study, tuple(objectives), found.storage, lasting=found.lasting, closing=found.closing
        )

    @classmethod
    def load(cls, url: StorageUrl, name: str) -> StudyStore:
        """Open an existing study for reading.

        Raises:
            UserError: there is no such study, or the storage cannot be read.
        """
        storage = open_storage(url, make=False)
        with storage_trouble_explained(url):
            names = optuna.get_all_study_names(storage)
            if name not in names:
                shown = ", ".join(names) or "none yet"
                raise UserError(f"no study {name!r} in {url.shown}", accepted=shown)
            study = optuna.load_study(study_name=name, storage=storage)
            return cls(study, objectives_of(study), storage)

    def close(self) -> None:
        """Close the storage. A SQLite file in which a study was run stands alone from here on."""
        self._closing.close()

    # -- trials -----------------------------------------------------------------------------------

    def together(self) -> AbstractContextManager[None]:
        """What is written inside is kept whole, or not at all. Nothing in it may take long."""
        return together(self._storage) if self._lasting is None else self._lasting.together()

    def ask(self, suggest: Callable[[Trial], Candidate]) -> tuple[Trial, Candidate]:
        """The next trial, from the queue or from the sampler, and its candidate."""
        with self.together():
            trial = self.study.ask()
            return trial, suggest(trial)

    def recover(self, killed: Callable[[Mapping[str, Any]], bool] = lambda params: True) -> int:
        """Put trials that a killed process left running back into the queue; returns how many. `killed` says
        by the parameters whether that counts as an attempt, see `give_up`."""
        left = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        with self.together():
            for trial in left:
                self.give_up(trial, killed=killed(trial.params))
        return len(left)

    def give_up(self, trial: Trial | FrozenTrial, *, killed: bool = False) -> None:
        """End a trial that was interrupted, and queue the same candidate to be tried again.

        `killed`: the process died in it, which counts as an attempt; a stop that was asked for does not.
        """
        params, attrs = dict(trial.params), dict(trial.user_attrs)
        with self.together():
            self.study.tell(trial.number, state=TrialState.FAIL)
            if params:
                tried = attempts(attrs) + killed
                self.enqueue(params, baseline=bool(attrs.get("baseline")), tried=tried)

    def enqueue(self, params: Mapping[str, Any], *, baseline: bool = False, tried: int = 0) -> None:
        """Have these parameters tried next."""
        attrs = {"baseline": baseline, ATTEMPTS: tried}
        self.study.enqueue_trial(dict(params), user_attrs=attrs)

    def tell(self, trial: Trial, evaluation: Evaluation, started: float) -> TrialRecord:
        """End a trial with its evaluation, whole; one that lacks an objective counts as failed."""
        evaluation = storable(evaluation, self.objectives)
        with self.together():
            seconds = self._tell(trial, evaluation, started)
        return TrialRecord(number=trial.number, evaluation=evaluation, started=started, seconds=seconds)

    def _tell(self, trial: Trial, evaluation: Evaluation, started: float) -> float:
        for text, value in evaluation.violations.items():
            trial.set_constraint(text, value)
        if evaluation.outcome is Outcome.REFUSED:
            # Samplers learn nothing from failed trials, and would ask for what cannot exist again.
            trial.set_constraint("can exist", 1.0)
        trial.set_user_attr("outcome", evaluation.outcome.value)
        trial.set_user_attr(KEPT, written(evaluation))
        values = None
        state = _STATES[evaluation.outcome]
        if state is TrialState.COMPLETE:
            values = [evaluation.metrics[name].value for name in self.objectives]
        seconds = self._end(trial, evaluation.candidate, started)
        self.study.tell(trial, values=values, state=state)
        return seconds

    def tell_duplicate(self, trial: Trial, original: TrialRecord, started: float) -> TrialRecord:
        """End a trial that another one has answered already.

        It is told as pruned: as another complete one it would draw the sampler to the same point again.
        """
        with self.together():
            trial.set_user_attr(DUPLICATE, original.number)
            seconds = self._end(trial, original.evaluation.candidate, started)
            self.study.tell(trial, state=TrialState.PRUNED)
        return replace(
            original, number=trial.number, started=started, seconds=seconds, duplicate_of=original.number
        )

    def _end(self, trial: Trial, candidate: Candidate, started: float) -> float:
        seconds = time.time() - started
        trial.set_user_attr("candidate", candidate.title)
        trial.set_user_attr(STARTED, started)
        trial.set_user_attr(SECONDS, seconds)
        return seconds

    def records(self) -> tuple[TrialRecord, ...]:
        """Every trial that ended with an evaluation, in order."""
        done = [t for t in self.study.get_trials(deepcopy=False) if t.state.is_finished()]
        for trial in done:
            if KEPT in trial.user_attrs and trial.number not in self._evaluated:
                self._evaluated[trial.number] = trial_record(trial, self.objectives)
        found = dict(self._evaluated)
        for trial in done:
            original = found.get(repeats(trial))
            if original is not None:
                found[trial.number] = duplicate_record(trial, original)
        return tuple(found[number] for number in sorted(found))

    def waiting_params(self) -> list[dict[str, Any]]:
        """Parameters of the candidates that are queued."""
        waiting = self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
        fixed = [trial.system_attrs.get("fixed_params") for trial in waiting]
        return [dict(params) if isinstance(params, Mapping) else {} for params in fixed]

    # -- the record -------------------------------------------------------------------------------

    def set(self, name: str, value: Any) -> None:
        """Keep a value with the study."""
        self.study.set_user_attr(name, value)

    def get(self, name: str, default: Any = None) -> Any:
        """A value kept with the study."""
        return self.study.user_attrs.get(name, default)

    def number(self, name: str) -> float:
        """A number kept with the study that is at least 0; 0 where none is, or it is damaged."""
        found = self.get(name)
        return float(found) if isinstance(found, int | float) and 0 <= found < LARGEST else 0.0

    def mapping(self, name: str) -> dict[str, Any]:
        """What the study keeps as the text of a JSON object; nothing where it keeps none that can be read."""
        try:
            found = json.loads(self.get(name) or "null")
        except (ValueError, TypeError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def save_frame(self, frame: StudyRecord) -> None:
        """Keep everything of the record except the trials, which are kept one by one."""
        self.set(_RECORD, frame_of.written(frame))

    def with_confirmed(self, frame: StudyRecord) -> StudyRecord:
        """The frame with what an earlier session confirmed: finalists, audit, the teacher on test."""
        kept = self._frame()
        if kept is None:
            return frame
        frame = replace(frame, finalists=kept.finalists, unconfirmed=kept.unconfirmed, audit=kept.audit)
        return replace(frame, reference_on_test=kept.reference_on_test)

    def record(self) -> StudyRecord:
        """The study as reports see it.

        Raises:
            UserError: the study has not come far enough to hold one.
        """
        known = self.unweighed()
        names = [objective.metric for objective in known.objectives]
        return replace(known, importances=importances(known.trials, names))

    def unweighed(self) -> StudyRecord:
        """The record without the importances of the axes, which take the longest.

        Raises:
            UserError: the study has not come far enough to hold one.
        """
        frame = self._frame()
        if frame is None:
            damaged = self.get(_RECORD) is not None
            raise UserError(
                f"the study {self.study.study_name!r} "
                + ("holds a record that cannot be read" if damaged else "has no results yet"),
                remedy="`paretune run STUDY` makes it anew, and keeps every trial"
                if damaged
                else "`paretune run STUDY` starts or resumes it",
            )
        return replace(frame, trials=self.records())

    @property
    def readable(self) -> bool:
        """Whether the study has come far enough to hold a record, and it is sound."""
        return self._frame() is not None

    def _frame(self) -> StudyRecord | None:
        """The record without its trials, None where there is none that can be read."""
        return frame_of.read(self.get(_RECORD))
