"""The search itself: ask for a candidate, evaluate it, tell; simple choices first, finalists last."""

from __future__ import annotations

import random
from dataclasses import replace

from ..ranking.known import violations
from ..ranking.ranking import strongest_simple_choice
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Outcome, StudyRecord, TrialRecord
from ..record.stops import ALL_EVALUATED, INTERRUPTED, DeviceGoneError, Interrupted
from . import reference
from .again import given_up
from .device_time import DeviceTime
from .ending import Ending
from .impossible import Impossible
from .parts import DriverParts
from .reserve import FinalistTime
from .trials import AskedTrial, Trials
from .tuning_time import TuningTime
from .unknown import drawn

DUPLICATES_IN_A_ROW = 8
"""After so many the sampler has nothing new to say, and an unknown candidate is drawn at random."""


class Driver:
    """Runs or resumes one study. Everything it learns is in the study and the store at once."""

    def __init__(self, parts: DriverParts) -> None:
        self.plan, self.evaluator, self.search, self.studies, self.budget, self.progress = parts
        plan, _, search, studies, budget, _ = parts
        self.ending = Ending(parts)
        self.trials, first = Trials(plan, studies), plan.space.baselines()[0]
        self.known, self.simple = self.trials.known, self.trials.simple
        self.tuning_time, self.device_time = TuningTime(plan.tuning, budget, first), DeviceTime(budget, first)
        self.impossible = Impossible(plan.impossible, self.tuning_time.lacking, plan.beyond)
        self._beyond = 0  # candidates that a sampler proposed though they are none of the study's
        search.exclude(self.impossible.holds)
        self.finalist_time = FinalistTime(plan.finalists, plan.more_rounds, plan.more_samples, plan.each_s)
        for record in self.known.values():
            self._learn(record)
        self._cut = ""  # why a candidate was not brought to its end
        # What an earlier session confirmed stays until this one has confirmed anew.
        self.frame = studies.with_confirmed(plan.frame)

    def run(self) -> StudyRecord:
        """Search until the budget ends, the space is exhausted or a stop is asked for.

        Raises:
            UserError: the study cannot go on (the uncompressed teacher does not run, the disk is full).
        """
        self.budget.start(self.studies.number("spent_seconds"), self.studies.number("waited_seconds"))
        if self._recovered():
            self.progress.note("an earlier session was ended in the middle of a candidate: it is tried again")
        stopped = ""
        try:
            # Without it no number means anything, and the finalists of an ended search need it too.
            with self.budget.untimed():
                self._reference()
            self._queue_baselines()
            stopped = self._searched()
            self._save(stopped)
            if not self.budget.stop.requested:
                self._finalists()
        except Interrupted as interrupt:
            stopped = interrupt.why
        except DeviceGoneError as gone:
            stopped, self.ending.gone = gone.problem, gone
        self._save(stopped)
        return self.studies.record()

    def _recovered(self) -> int:
        return self.studies.recover()

    # -- the first candidate ------------------------------------------------------------------------

    def _reference(self) -> None:
        first = self.plan.space.baselines()[0]
        self.frame = reference.prepare(self.evaluator, first, self.frame)
        done = self.known.get(first.digest) or self._one(first)
        if done is None or done.evaluation.outcome is not Outcome.COMPLETE:
            raise reference.failed(first, done)
        if self.search.standard.reference_ms is None:
            self._settle(done.evaluation)

    def _settle(self, teacher: Evaluation) -> Evaluation:
        """Fix the reference's latency and the limits' bounds; returns the teacher judged by them."""
        specs, quality = self.plan.limits, self.plan.frame.quality
        standard = reference.settled(specs, quality, teacher, self.evaluator.test_score)
        self.search.settle(standard)
        self.frame = replace(self.frame, limits=standard.limits)
        self._save("")
        return replace(teacher, violations=violations(standard.limits, teacher.metrics))

    # -- the loop -------------------------------------------------------------------------------------

    def _queue_baselines(self) -> None:
        """The usual simple choices come first where they take little time, then what an earlier session left
        to be tried again, then what the plan has first."""
        queued = self.studies.waiting_params()
        usual = self.device_time.first(self.simple.usual(self.known))
        wanted = (*filter(self._open, usual), *self.trials.again, *filter(self._open, self.plan.first))
        with self.studies.together():
            for candidate in dict.fromkeys(wanted):
                params = self.plan.space.params(candidate)
                if params not in queued:
                    self.studies.enqueue(params, baseline=candidate in self.simple)

    def _searched(self) -> str:
        """Search to the end; why it ended."""
        try:
            return self._until_finished()
        except Interrupted as interrupt:  # in a measurement that no trial has asked for
            return interrupt.why

    def _until_finished(self) -> str:
        in_a_row = 0
        while True:
            why = self._over()
            if why:
                return why
            if not self.studies.waiting_params():
                why = self._prepare_next(in_a_row)
                if why:
                    return why
            record = self._one()
            if record is None:
                return self._over() or self._cut
            in_a_row = in_a_row + 1 if record.duplicate_of is not None else 0

    def _prepare_next(self, in_a_row: int) -> str:
        """See to it that the next candidate is worth asking for; why the search ends where none is."""
        nothing_to_gain = self.search.finished()
        simple = [c for c in self.device_time.in_time(self.simple.untried(self.known)) if self._open(c)]
        usual = bool(simple) and self.simple.is_usual(simple[0])
        if simple and (nothing_to_gain or self.device_time.affords(simple, self.evaluated, usual=usual)):
            self.trials.enqueue(simple[0])
            return ""
        if nothing_to_gain:
            return nothing_to_gain
        if in_a_row >= DUPLICATES_IN_A_ROW and not self._queue_unknown():
            return ALL_EVALUATED
        self._measure_first()
        return self._over()

    def _measure_first(self) -> None:
        """Measure what is to be known before the next proposal; what the gate stops is recorded."""
        while not self._over() and not self.search.finished():
            wanted = self.search.wants(self.studies.study, survey=self.device_time.surveying)
            if wanted is None:
                return
            doing = "estimating" if self.plan.frame.estimated else "measuring"
            self.progress.stage(f"{doing} {wanted.title} with untrained weights")
            hardware, seconds = self.device_time.probe(self.evaluator, wanted, self.search.standard)
            if hardware is not None:
                self.search.learn_hardware(wanted, hardware, seconds)
            if hardware is None or hardware.refused or self.search.before_training(wanted, hardware):
                # Its evaluation ends at once, and says why.
                self._one(wanted)

    def _over(self) -> str:
        """Why nothing more may be evaluated, or an empty text."""
        if self.budget.stop.requested:
            return INTERRUPTED
        begun = len(self.known) + self.at_work - self._beyond
        if begun >= self.plan.space.size and not self.search.pays_to_go_on():
            return ALL_EVALUATED
        return self.budget.exhausted(self.evaluated + self.at_work)

    @property
    def at_work(self) -> int:
        """Candidates that others evaluate at this moment, but for those that go on from a pause."""
        return 0

    @property
    def evaluated(self) -> int:
        """Candidates that cost budget."""
        return self.trials.evaluated

    def _queue_unknown(self) -> bool:
        """Queue a candidate that was not evaluated yet; False where there is none."""
        unknown = drawn(self.plan.space, random.Random(f"{self.plan.seed} {len(self.known)}"), self._open)
        if unknown is not None:
            self.trials.enqueue(unknown)
        return unknown is not None

    def _open(self, candidate: Candidate) -> bool:
        return candidate.digest not in self.known and not self.impossible.holds(candidate)

    def _one(self, wanted: Candidate | None = None) -> TrialRecord | None:
        """One trial; None where it was interrupted (its candidate is queued again). `wanted` is queued."""
        asked = self.trials.ask(wanted)
        earlier = self.trials.known_already(asked.candidate)
        if earlier is not None:
            return self.trials.answer(asked, earlier)
        self.progress.started(asked.trial.number, asked.candidate)
        try:
            evaluation = self._settled(asked, self._evaluate(asked))
        except Interrupted as interrupt:
            self._cut = interrupt.why
            self.studies.give_up(asked.trial)
            return None
        except BaseException:
            self.studies.give_up(asked.trial)
            raise
        return self._tell(asked, evaluation)

    def _tell(self, asked: AskedTrial, evaluation: Evaluation) -> TrialRecord:
        with self.studies.together():
            record = self.trials.tell(asked, evaluation)
            self._learn(record)
            self._count()
        self.progress.finished(record)
        self._show_used()
        return record

    def _show_used(self) -> None:
        used = self.budget.elapsed_seconds
        self.progress.budget(self.evaluated, self.budget.trials, used, self.budget.seconds)

    def _settled(self, asked: AskedTrial, evaluation: Evaluation) -> Evaluation:
        """With why it was proposed; the reference's by the limits that follow from it."""
        evaluation = replace(evaluation, proposal=self.search.proposal(asked.trial.number))
        if self.search.standard.reference_ms is None and evaluation.outcome is Outcome.COMPLETE:
            return self._settle(evaluation)
        return evaluation

    def _evaluate(self, asked: AskedTrial) -> Evaluation:
        return self._ended_at_once(asked) or self.evaluator.evaluate(
            asked.candidate, self.search, baseline=asked.baseline
        )

    def _ended_at_once(self, asked: AskedTrial) -> Evaluation | None:
        """How a trial ends without any work; None where there is work to do."""
        ended = given_up(asked.trial.user_attrs, asked.candidate) or self.impossible.refusal(asked.candidate)
        return None if ended is None else replace(ended, baseline=asked.baseline)

    def _learn(self, record: TrialRecord) -> None:
        self.search.learn(record)
        self._beyond += not self.plan.space.looks_at(record.evaluation.candidate)
        self.device_time.learn(record)
        self.finalist_time.learn(record)
        self.budget.reserve = self.finalist_time.seconds(self.budget.seconds or 0.0)
        if self.impossible.learn(record) or self.tuning_time.newly_short():
            self.search.exclude(self.impossible.holds)

    # -- the end --------------------------------------------------------------------------------------

    def _finalists(self) -> None:
        # They are what the study is for: a search that ran to the end of its time has them too.
        with self.budget.untimed():
            for frame in self.ending.finalists(self.frame):
                self._keep(frame)

    def ended(self, at: str) -> None:
        """Search and finalists came to their end: what is written from now on is of this end."""
        self._keep(replace(self.frame, ended=at))

    def audit(self, share: float) -> StudyRecord:
        """Train a share of what the gate stopped after all, to see whether it was right."""
        with self.budget.untimed():
            for frame in self.ending.audit(self.frame, share, self.search.standard):
                self._keep(frame)
        return self.studies.record()

    def _keep(self, frame: StudyRecord) -> None:
        self.frame = frame
        self.studies.save_frame(frame)

    def _count(self) -> None:
        # Kept after every trial, so that the report of a killed search counts right.
        found = self.trials.shown(measured=self.device_time.probes, waited=self.budget.waited)
        masked = (*self.plan.frame.masked, *self.impossible.masked)
        self.frame = replace(self.frame, counters=found, masked=masked)
        self.studies.save_frame(self.frame)
        self.studies.set("spent_seconds", self.budget.elapsed_seconds)
        self.studies.set("waited_seconds", self.budget.waited)

    def _save(self, stopped: str) -> None:
        remarks = self.ending.remarks(*self.plan.frame.remarks, *self.search.remarks)
        self.frame = replace(self.frame, stopped=stopped or self.frame.stopped, remarks=remarks)
        with self.studies.together():
            self._count()
            baseline = strongest_simple_choice(self.studies.unweighed())
            untried = tuple(c.title for c in self.simple.untried(self.known))
            self.frame = replace(self.frame, baseline=baseline, untried=untried)
            self.studies.save_frame(self.frame)
