"""Several writes of Optuna's in one transaction.

Optuna commits each attribute and each parameter by itself. On a file that is a wait for the disk each time,
and a kill in between leaves half of what belongs together.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from optuna.storages import RDBStorage
from optuna.storages._rdb.models import TrialModel
from sqlalchemy.orm import Session, scoped_session, sessionmaker


class HeldSession(Session):
    """While `held`, what Optuna commits is sent to the database and waits there for the real commit.

    The trial that is made next gets `id_of_next` for its id, where that is given.
    """

    held = False
    lost: BaseException | None = None
    id_of_next: int | None = None

    def add(self, instance: object, **options: Any) -> None:
        """Optuna's, but for the id."""
        if self.id_of_next is not None and isinstance(instance, TrialModel):
            instance.trial_id, self.id_of_next = self.id_of_next, None
        super().add(instance, **options)

    def commit(self) -> None:
        """The commit of one of Optuna's writes."""
        if not self.held:
            super().commit()
            return
        if self.lost is not None:  # nothing may be kept of which a part is gone
            raise self.lost
        self.flush()

    def rollback(self) -> None:
        """One of the writes has failed."""
        if self.held and self.lost is None:
            self.lost = sys.exc_info()[1]
        super().rollback()

    def close(self) -> None:
        """One of the writes has ended."""
        if self.held:
            self.expunge_all()  # Optuna counts on reading anew
        else:
            super().close()

    def finish(self) -> None:
        """The real commit, unless a part was lost."""
        lost, self.held, self.lost = self.lost, False, None
        if lost is not None:
            raise lost
        self.commit()

    def abandon(self) -> None:
        """Take back what was held, if it was not committed."""
        self.held, self.lost, self.id_of_next = False, None, None
        try:
            self.rollback()
        finally:
            self.close()


def allow_together(storage: RDBStorage) -> None:
    """Prepare a storage for `together`."""
    storage.remove_session()
    storage.scoped_session = scoped_session(sessionmaker(bind=storage.engine, class_=HeldSession))


@contextmanager
def together(storage: RDBStorage | None) -> Iterator[None]:
    """What this thread writes inside is one transaction: kept whole at the end, or not at all.

    If an exception leaves the block, nothing is kept. A block inside another belongs to the outer one. With
    no storage, or one that was not prepared, each write is kept by itself.

    Raises:
        SQLAlchemyError: the database did not take it.
    """
    session = None if storage is None else storage.scoped_session()
    if not isinstance(session, HeldSession) or session.held:
        yield
        return
    session.held = True
    try:
        yield
        session.finish()
    finally:
        session.abandon()
