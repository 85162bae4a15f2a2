"""The search with many workers: candidates are asked for ahead, and told as their evaluations end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import count

from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, TrialRecord
from ..record.protocols import Hardware
from ..record.stops import DeviceGoneError
from ..record.where import MeasuredAhead, Where
from ..record.workers import WorkerResult, Workers, WorkerTask
from .device_pool import DevicePool
from .driver import Driver
from .parts import DriverParts
from .trials import AskedTrial


class DriverOfMany(Driver):
    """A `Driver` that keeps its workers busy, on the `devices` of a pool where there is one. The reference
    and what follows the search are its own work: it calls the workers (`come`) in between."""

    def __init__(self, parts: DriverParts, come: Callable[[], Workers], devices: Sequence[str] = ()) -> None:
        super().__init__(parts)
        self._come, self.pool = come, DevicePool(devices, self._said)
        self._evaluating: dict[int, AskedTrial] = {}
        self._measuring: dict[int, Candidate] = {}
        self._alike: dict[str, list[AskedTrial]] = {}  # trials of what is evaluated now, by its digest
        self._hardware: dict[str, Hardware] = {}  # of measured networks, by the class's digest
        self._duplicates, self._numbers = 0, count(-1, -1)  # in a row; of tasks that are of no trial
        self._ahead: list[MeasuredAhead] = []  # since the trial that was told last

    @cached_property
    def workers(self) -> Workers:
        """They are there."""
        return self._come()

    @property
    def at_work(self) -> int:
        """See `Driver`."""
        return sum(asked.candidate.digest not in self.known for asked in self._evaluating.values())

    def _recovered(self) -> int:
        """Its death tells something of the reference alone: those of workers are counted elsewhere."""
        first = self.plan.space.params(self.plan.space.baselines()[0])
        return self.studies.recover(killed=lambda params: dict(params) == first)

    def _said(self, remark: str) -> None:
        self.progress.note(remark)
        self.search.remark(remark)

    def _until_finished(self) -> str:
        self.pool.settle(self.search.standard.reference_ms or 0.0)
        try:
            while True:
                why = self._filled()
                if why and not self._busy:
                    return self._over() or why
                result = self.workers.wait(self.search)
                self._show_used()
                if self.budget.stop.requested:
                    self.workers.stop(urgent=self.budget.stop.urgent)
                if result is not None:
                    self._take(result)
        finally:
            self._give_up_all()

    @property
    def _busy(self) -> int:
        return len(self._evaluating) + len(self._measuring)

    # -- handing out ----------------------------------------------------------------------------------

    def _filled(self) -> str:
        """Have a task for every worker; why there is nothing more to do for now, or an empty text."""
        why = "" if self._busy else self._cut or self._over()  # also while no worker is there
        if why:
            return why
        while self._busy < self.workers.count:
            why = self._cut or self._over()
            if not why and not self.studies.waiting_params():
                why = self._prepare_next(self._duplicates)
            if why:
                return why
            if self._busy and not self.studies.waiting_params() and self.search.waits(self.studies.study):
                return ""
            if self._busy < self.workers.count:  # measurements may have taken the others
                self._begin()
        return ""

    def _begin(self) -> None:
        asked = self.trials.ask()
        earlier, digest = self.trials.known_already(asked.candidate), asked.candidate.digest
        twins = self._alike.get(digest)
        self._duplicates = self._duplicates + 1 if earlier is not None or twins is not None else 0
        if earlier is not None:
            self.trials.answer(asked, earlier)
        elif twins is not None:
            twins.append(asked)
        else:
            self._start(asked)

    def _start(self, asked: AskedTrial) -> None:
        ended = self._ended_at_once(asked)
        if ended is not None:
            self._tell(asked, self._settled(asked, ended))
            return
        number, candidate = asked.trial.number, asked.candidate
        self._evaluating[number], self._alike[candidate.digest] = asked, []
        self.search.begin(candidate)
        self.progress.started(number, candidate)
        known = self._hardware.get(candidate.hardware_class().digest)
        self._submit(WorkerTask(number=number, candidate=candidate, baseline=asked.baseline, known=known))

    def _submit(self, task: WorkerTask) -> None:
        self.workers.submit(replace(task, device=self.pool.next()), self.search)

    def _measure_first(self) -> None:
        """As far as workers are free; what is still measured then is left out of proposals."""
        while self._busy < self.workers.count and not self._over() and not self.search.finished():
            wanted = self.search.wants(self.studies.study, survey=self.device_time.surveying)
            if wanted is None:
                return
            number = next(self._numbers)
            self._measuring[number] = wanted
            self.search.begin_measurement(wanted)
            self._submit(WorkerTask(number=number, candidate=wanted, measure=True))

    def _open(self, candidate: Candidate) -> bool:
        return candidate.digest not in self._alike and super()._open(candidate)

    # -- taking in ------------------------------------------------------------------------------------

    def _take(self, result: WorkerResult) -> None:
        if result.worker:
            self.progress.at_work(result.worker, None, "")
        device = result.task.device
        self.pool.done(device)
        if isinstance(result.error, DeviceGoneError):  # for all workers; raised here where no other is left
            self.pool.lost(device, result.error)
            self._submit(result.task)
            return
        for one in (result.evaluation, result.hardware):
            if one is not None and one.where is not None and one.where.reference_ms is not None:
                self.pool.learn(one.where.device, one.where.reference_ms)
        if result.task.measure:
            self._take_measured(result)
        else:
            self._take_evaluated(result)

    def _take_measured(self, result: WorkerResult) -> None:
        wanted = self._measuring.pop(result.task.number)
        if result.error is not None:
            raise result.error
        if result.stopped:
            self._cut = result.stopped
            self.search.give_up_measurement(wanted)
            return
        hardware, seconds = result.hardware, result.seconds - result.waited
        self._ahead.append(_measured_ahead(result))
        self.device_time.probed(hardware, seconds)
        if hardware is None:
            self.search.give_up_measurement(wanted)
        else:
            # Where it was measured is told here, and of nobody else who is told of it.
            self._hardware[wanted.hardware_class().digest] = replace(hardware, where=None)
            self.search.learn_hardware(wanted, hardware, seconds)
        ends = hardware is None or hardware.refused or self.search.before_training(wanted, hardware)
        if ends and self._open(wanted):  # its evaluation ends at once, and says why
            self.trials.enqueue(wanted)

    def _take_evaluated(self, result: WorkerResult) -> None:
        asked = self._evaluating.pop(result.task.number)
        twins = self._alike.pop(asked.candidate.digest)
        if result.error is not None or result.evaluation is None:
            self._given_up(asked, twins)
            if result.error is not None:
                raise result.error
            self._cut = result.stopped
            return
        record = self._tell(asked, self._settled(asked, self._where_it_ran(result, result.evaluation)))
        for twin in twins:
            self._end_alike(twin, record)

    def _where_it_ran(self, result: WorkerResult, evaluation: Evaluation) -> Evaluation:
        ahead, self._ahead = tuple(self._ahead), []
        known = evaluation.where or Where(device=result.task.device)
        ran = replace(known, worker=result.worker, seconds=result.seconds, waited=result.waited, ahead=ahead)
        return replace(evaluation, where=ran)

    def _end_alike(self, twin: AskedTrial, record: TrialRecord) -> None:
        if record.evaluation.paused:
            self.studies.give_up(twin.trial)
        else:
            self.trials.answer(twin, record)

    def _given_up(self, asked: AskedTrial, twins: list[AskedTrial]) -> None:
        """Neither evaluated: their candidate is queued again."""
        self.search.give_up(asked.candidate)
        for one in (asked, *twins):
            self.studies.give_up(one.trial)

    def _give_up_all(self) -> None:
        """What is still at work when a search ends in its middle."""
        while self._evaluating:
            _, asked = self._evaluating.popitem()
            self._given_up(asked, self._alike.pop(asked.candidate.digest, []))
        self._measuring.clear()


def _measured_ahead(result: WorkerResult) -> MeasuredAhead:
    return MeasuredAhead(
        worker=result.worker,
        device=result.task.device,
        started=time.time() - result.seconds,
        seconds=result.seconds,
        stages=result.stages,
        waited=result.waited,
    )
