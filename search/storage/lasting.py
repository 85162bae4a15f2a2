"""A study's transactions on a PostgreSQL server, kept whole where the server goes away in their midst.

Whatever Optuna asks of the storage is tried again once the server is back; of a transaction that was open
then, all that was written is written again first. One whose commit was under way is looked up: each writes
its mark into one attribute of the study, and the mark is there if the transaction is. The marks fence a study
off as well: a transaction is kept only where the mark of the one before it still stands, so that a run which
has lost its lock without knowing cannot write beside the one that has it now.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar
from uuid import uuid4

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import ColumnElement, column, select, table, text, update

from ...profiles.errors import UserError
from .driver_lock import DriverLock, notice_the_dead
from .lost import Patience, ServerLostError, Waiting, tell_losses
from .transactions import HeldSession
from .trouble import trouble
from .url import StorageUrl

P = ParamSpec("P")
T = TypeVar("T")

MARK = "paretune:written"
"""The attribute of a study (a system attribute of Optuna's) that names the last transaction, and its run."""
READS = (
    "_get_best_trial_id", "_get_trials", "get_all_studies", "get_study_directions", "get_study_id_from_name",
    "get_study_name_from_id", "get_study_system_attrs", "get_study_user_attrs", "get_trial",
    "get_trial_id_from_study_id_trial_number", "get_trial_param", "get_trial_system_attrs",
    "get_trial_user_attrs",
)  # fmt: skip
WRITES = (
    "_create_new_trial", "_set_trial_param", "set_study_system_attr", "set_study_user_attr",
    "set_trial_intermediate_value", "set_trial_state_values", "set_trial_system_attr", "set_trial_user_attr",
)  # fmt: skip

_ATTRIBUTES = table("study_system_attributes", column("study_id"), column("key"), column("value_json"))
_NEXT_ID = text("SELECT nextval(pg_get_serial_sequence('trials', 'trial_id'))")


@dataclass(frozen=True)
class HeldWrite:
    """One write of the transaction that is open, and the id of the trial that it made."""

    write: Callable[[], Any]
    made: int | None


class Lasting:
    """The transactions of one run. From now on nobody else may write to the study, and what is asked of
    `storage` waits where the server is away."""

    def __init__(
        self, storage: RDBStorage, study_id: int, lock: DriverLock, url: StorageUrl, patience: Patience
    ) -> None:
        self._storage, self._study_id, self._lock = storage, study_id, lock
        self._url, self._patience = url, patience
        self._run, self._count = uuid4().hex, 0
        self._open, self._over = False, False
        self._writes: list[HeldWrite] = []
        self._last = self._mark()
        storage.set_study_system_attr(study_id, MARK, self._last)
        self._take_over(storage)

    def _take_over(self, storage: RDBStorage) -> None:
        storage.remove_session()
        storage.engine.dispose()  # so that every connection is a new one
        tell_losses(storage.engine)
        notice_the_dead(storage.engine)
        for name in READS:
            setattr(storage, name, partial(self._lasting, getattr(storage, name)))
        for name in WRITES:
            setattr(storage, name, partial(self._written, getattr(storage, name)))

    @contextmanager
    def together(self) -> Iterator[None]:
        """See `transactions.together`.

        Raises:
            UserError: the server was waited for in vain, or another run has taken the study.
        """
        if self._open:
            yield
            return
        session, self._open = self._session(), True
        session.held = True
        try:
            yield
            self._finish(session)
        finally:
            self._open = False
            self._writes.clear()
            with suppress(ServerLostError):  # then nothing is left to be taken back
                session.abandon()

    # -- what Optuna asks of the storage ----------------------------------------------------------

    def _lasting(self, do: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        waiting = Waiting(self._patience)
        while True:
            try:
                result = do(*args, **options)
            except ServerLostError as lost:
                self._restore(waiting, lost)
            else:
                waiting.over()
                return result

    def _written(self, do: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        with self.together():
            result = self._lasting(do, *args, **options)
            made = result._trial_id if isinstance(result, FrozenTrial) else None
            self._writes.append(HeldWrite(partial(do, *args, **options), made))
        return result

    # -- the commit -------------------------------------------------------------------------------

    def _mark(self) -> str:
        return f"{self._run} {self._count}"

    @property
    def _mine(self) -> ColumnElement[bool]:
        return (_ATTRIBUTES.c.study_id == self._study_id) & (_ATTRIBUTES.c.key == MARK)

    def _finish(self, session: HeldSession) -> None:
        if not self._writes:
            session.finish()
            return
        self._count += 1
        pending, waiting, committed = self._mark(), Waiting(self._patience), False
        while not committed:
            try:
                self._lock.check()
                self._set_mark(session, pending)
                session.finish()
                committed = True
            except ServerLostError as lost:
                committed = self._restore(waiting, lost, pending)
        waiting.over()
        self._last = pending

    def _set_mark(self, session: HeldSession, mark: str) -> None:
        """As the last write of all, so that the mark is locked until the commit has an end."""
        stands = _ATTRIBUTES.c.value_json == json.dumps(self._last)
        change = update(_ATTRIBUTES).where(self._mine, stands).values(value_json=json.dumps(mark))
        changed = session.execute(change)
        if changed.rowcount != 1:  # type: ignore[attr-defined]
            raise self._taken()

    def _taken(self) -> UserError:
        return UserError(
            "this run has lost its study",
            place=self._url.shown,
            found="another run has written to it since, it was removed, or the server has lost what it had "
            "confirmed",
            remedy="`paretune run STUDY` goes on with what is stored, if no other run does; what was "
            "finished here is in the store",
        )

    # -- after a loss -----------------------------------------------------------------------------

    def _restore(self, waiting: Waiting, lost: ServerLostError, pending: str = "") -> bool:
        """Wait for the server, and have the transaction stand there as it did. Whether there is nothing to be
        done any more, since `pending` was committed. `waiting` is that of the operation which was lost."""
        while not self._over and waiting.again():
            try:
                committed = self._restored(pending)
            except ServerLostError as again:
                lost = again
            else:
                waiting.answered()
                return committed
        self._over = True
        raise trouble("the study's storage fails", self._url, lost) from None

    def _restored(self, pending: str) -> bool:
        session = self._session()
        session.abandon()
        self._lock.hold()
        found = self._found(session)
        if pending and found == pending:
            return True
        if found != self._last:
            raise self._taken()
        session.held = self._open
        for written in self._writes:
            self._write_again(session, written)
        return False

    def _found(self, session: HeldSession) -> str:
        """The mark that stands in the study; a transaction of before, whose end the server has yet to see, is
        waited for."""
        question = select(_ATTRIBUTES.c.value_json).where(self._mine).with_for_update()
        found = session.execute(question).scalar()
        session.rollback()
        return str(json.loads(found or '""'))

    def _write_again(self, session: HeldSession, written: HeldWrite) -> None:
        if written.made is not None:
            # The id is known to Optuna by now. The server gives each only once, unless a crash has made it
            # forget the last ones.
            while session.execute(_NEXT_ID).scalar_one() < written.made:
                pass
            session.id_of_next = written.made
        written.write()

    def _session(self) -> HeldSession:
        session = self._storage.scoped_session()
        assert isinstance(session, HeldSession)
        return session
