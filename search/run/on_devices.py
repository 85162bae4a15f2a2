"""Candidates evaluated on each device of a pool by one process, which has the study's models once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from ...profiles.errors import ParetuneError, StageError, UnsupportedError
from ..driver.budget import Budget
from ..evaluation.evaluator import Evaluator
from ..job.job import Job
from ..job.reached import Reached
from ..record.candidate import Candidate
from ..record.progress import Progress
from ..record.stops import DeviceGoneError
from ..stages.device.effort import Effort
from ..stages.device.stages import DeviceStages
from ..stages.models.base import Models
from ..store.store import Store
from .absent import chain_of
from .device import device_stages, reached_of_pool, unusable
from .evaluating import evaluator_of
from .kind import StudyKind
from .waiting import lease_for


class OnDevices:
    """The evaluators of a job, one for each device of its pool (or the one without a name, where there is no
    pool), made when a first task comes for it. `first` is the device that was reached to prepare the models;
    `reference` what all measurements are taken against, and `seconds` the whole budget of time, by which
    they are as close as they are: that of `budget` is what is left for the task at hand."""

    def __init__(
        self,
        job: Job,
        store: Store,
        models: Models,
        budget: Budget,
        progress: Progress,
        reference: Candidate,
        seconds: float | None,
        first: Reached,
    ) -> None:
        self._job, self._store, self._models = job, store, models
        self._budget, self._progress, self._reference = budget, progress, reference
        self._seconds = seconds
        self._reached: dict[str, Reached] = {first.device: first}
        self._open: dict[str, tuple[DeviceStages, Evaluator]] = {}

    @contextmanager
    def on(self, device: str) -> Iterator[Evaluator]:
        """What evaluates on that device. One that goes away in the block is reached anew the next time.

        Raises:
            DeviceGoneError: it cannot be reached, or, where there are others of its kind, not be used.
            ParetuneError: the only one cannot be used.
        """
        try:
            if device not in self._open:
                self._open[device] = self._usable(device)
            yield self._open[device][1]
        except DeviceGoneError:
            self._forget(device)
            raise

    def _usable(self, device: str) -> tuple[DeviceStages, Evaluator]:
        """Of a pool, one on which not even the reference runs is as good as gone: others measure."""
        try:
            return self._made(device)
        except (StageError, UnsupportedError) as error:
            if len(self._job.profile.pool) < 2:
                raise
            raise unusable(device, error) from error

    def _made(self, device: str) -> tuple[DeviceStages, Evaluator]:
        job, budget = self._job, self._budget
        reached = self._reached.get(device) or reached_of_pool(job, device)
        lease = lease_for(job, reached.launch, self._progress, budget)
        others = len(job.profile.pool) > 1
        stages = device_stages(
            job, reached, self._store, self._progress, self._models, lease, budget, others=others
        )
        try:
            stages.effort = Effort(self._seconds, budget.afford, self._progress.note)
            chain = chain_of(job, self._models, stages, budget)
            evaluator = evaluator_of(job, chain, budget, (), StudyKind(), reached)
            with budget.untimed():
                evaluator.prepare_reference(self._reference)
        except BaseException:
            stages.close()
            raise
        self._reached[device] = reached
        return stages, evaluator

    def _forget(self, device: str) -> None:
        self._reached.pop(device, None)
        known = self._open.pop(device, None)
        if known is not None:
            with suppress(ParetuneError, OSError):  # nobody answers there
                known[0].close()

    def close(self) -> None:
        """End every process."""
        for device in list(self._open):
            self._forget(device)
