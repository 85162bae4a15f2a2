"""The search itself: ask for a candidate, evaluate it, tell; simple choices first, finalists last."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from optuna.trial import Trial

from ...profiles.errors import StageError, UnsupportedError, UserError
from ..evaluation.finalists import choose_finalists
from ..gate.audit import choose_audited, judged
from ..ranking.known import trial_of, violations
from ..ranking.ranking import rank, strongest_simple_choice
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Objective, Outcome, StudyRecord, TrialRecord
from ..record.limits import LimitSpec, resolve
from ..record.progress import Progress
from ..record.protocols import CandidateEvaluator, Hardware, Judge, TrainEverything
from ..record.stops import Interrupted
from ..record.training import TRAINING_STAGES
from ..record.treatment import QAT
from ..sampler.hardware_first import HardwareFirstSampler
from ..space.space import Space
from ..storage.study_store import StudyStore, known_candidates
from .budget import Budget, StopFlag

DUPLICATES_IN_A_ROW = 8
"""After so many the sampler has nothing new to say, and an unknown candidate is drawn at random."""
DRAWS = 200
"""So often a candidate is drawn before the space is searched for one that is left."""
FINALIST_TURNS = 3
"""How often the next best are checked on test where none of those before holds its limits."""
SURVEY_SHARE = 0.1
"""Of the time budget, that goes into first measurements."""
MEASURED_PER_TRIAL = 10
"""So many candidates that the gate stopped before training count as one trial of the budget."""
ATTEMPTS = 3
"""A candidate in whose evaluation the whole process died so often is given up."""


@dataclass(frozen=True, kw_only=True)
class SearchPlan:
    """What the driver is to do. `frame` is the record without trials, for reports."""

    space: Space
    objectives: tuple[Objective, ...]
    limits: tuple[LimitSpec, ...]
    finalists: int
    finalist_rounds: int
    seed: int
    frame: StudyRecord


class Driver:
    """Runs or resumes one study. Everything it learns is in the study and the store at once."""

    def __init__(
        self,
        plan: SearchPlan,
        evaluator: CandidateEvaluator,
        judge: Judge,
        studies: StudyStore,
        budget: Budget,
        stop: StopFlag,
        progress: Progress,
    ) -> None:
        self.plan, self.evaluator, self.judge, self.studies = plan, evaluator, judge, studies
        self.budget, self.stop, self.progress = budget, stop, progress
        records = studies.records()
        self.known, self._answered = known_candidates(records), len(records)
        for record in self.known.values():
            judge.learn(record)
        self._time_counts = True
        sampler = studies.study.sampler
        self._guide = sampler if isinstance(sampler, HardwareFirstSampler) else None
        self._measured, self._measuring_seconds = 0, 0.0
        # What an earlier session confirmed stays until this one has confirmed anew.
        self.frame = replace(plan.frame, finalists=studies.confirmed(), audit=studies.audited())

    def run(self) -> StudyRecord:
        """Search until the budget ends, the space is exhausted or a stop is asked for.

        Raises:
            UserError: the study cannot go on (the uncompressed teacher does not run, the disk is full).
        """
        recovered = self.studies.recover()
        if recovered:
            self.progress.note("an earlier session was ended in the middle of a candidate: it is tried again")
        stopped = ""
        try:
            self._reference()
            self._queue_baselines()
            stopped = self._search()
            self._save(stopped)
            if not self.stop.requested:
                self._finalists()
        except Interrupted as interrupt:
            stopped = interrupt.why
        self._save(stopped)
        return self.studies.record()

    @property
    def out_of_time(self) -> bool:
        """Whether the time is used up, for all but the reference, the finalists and an audit."""
        return self.budget.out_of_time and self._time_counts

    def checkpoint(self) -> None:
        """Called between stages: unwinds when a stop was asked for or the time is used up."""
        if self.stop.requested:
            raise Interrupted("interrupted")
        if self.out_of_time:
            raise Interrupted(self.budget.exhausted(0) or "the time is used up")

    # -- the first candidate ------------------------------------------------------------------------

    def _reference(self) -> None:
        # Without it no number means anything, and the finalists of an ended search need it too.
        self._time_counts = False
        reference = self.plan.space.baselines()[0]
        self._guarded(lambda: self.evaluator.prepare_reference(reference), reference)
        done = self.known.get(reference.digest)
        if done is None:
            done = self._one(reference, baseline=True)
        if done is None or done.evaluation.outcome is not Outcome.COMPLETE:
            raise _reference_failed(reference, done)
        if self.evaluator.reference_ms is None:
            self._learn_from_teacher(done.evaluation)
        self._time_counts = True

    def _guarded(self, work: Callable[[], None], reference: Candidate) -> None:
        try:
            work()
        except UnsupportedError as error:
            raise _cannot_start(reference, error.reason, "") from error
        except StageError as error:
            raise _cannot_start(reference, f"{error.stage}: {error.cause}", error.log) from error

    def _learn_from_teacher(self, teacher: Evaluation) -> Evaluation:
        """Fix the reference's latency and the limits' bounds; returns the teacher judged by them."""
        self.evaluator.reference_ms = teacher.metrics["latency_ms"].value
        values = {name: quantity.value for name, quantity in teacher.metrics.items()}
        limits = tuple(resolve(spec, values) for spec in self.plan.limits)
        quality = self.plan.frame.quality
        if any(spec.relative and spec.metric == quality for spec in self.plan.limits):
            on_test = {**values, quality: self.evaluator.test_score(teacher).value}
            limits = tuple(
                replace(limit, bound_on_test=resolve(spec, on_test).bound)
                if spec.relative and spec.metric == quality
                else limit
                for spec, limit in zip(self.plan.limits, limits, strict=True)
            )
        self.evaluator.limits = self.judge.limits = limits
        self.frame = replace(self.frame, limits=limits)
        self._save("")
        return replace(teacher, violations=violations(limits, teacher.metrics))

    # -- the loop -------------------------------------------------------------------------------------

    def _queue_baselines(self) -> None:
        """The uncompressed teacher's simple choices come before anything a sampler proposes."""
        queued = self.studies.waiting_params()
        with self.studies.together():
            for candidate in self.plan.space.baselines():
                params = self.plan.space.params(candidate)
                if candidate.digest not in self.known and params not in queued:
                    self.studies.enqueue(params, baseline=True)

    def _search(self) -> str:
        in_a_row = 0
        while True:
            why = self._finished()
            if why:
                return why
            if in_a_row >= DUPLICATES_IN_A_ROW and not self._queue_unknown():
                return "every candidate of the space was evaluated"
            if self._guide is not None:
                self._measure_first(self._guide)
            record = self._one()
            if record is None:
                return "interrupted" if self.stop.requested else self.budget.exhausted(self._evaluated)
            in_a_row = in_a_row + 1 if record.duplicate_of is not None else 0

    def _measure_first(self, guide: HardwareFirstSampler) -> None:
        """Measure what the sampler wants to know before it proposes; what the gate stops is recorded."""
        while not self._finished():
            share = self._measuring_seconds / (self.budget.seconds or float("inf"))
            wanted = guide.wants(self.studies.study, survey=share < SURVEY_SHARE)
            if wanted is None:
                return
            started = self.budget.clock()
            self.progress.stage(f"measuring {wanted.title} with untrained weights")
            try:
                hardware = self.evaluator.hardware(wanted)
            except StageError as error:  # others of its class would crash as well
                hardware = Hardware(refused=f"{error.stage}: {error.cause}")
            self._measured += 1
            self._measuring_seconds += self.budget.clock() - started
            guide.learn_hardware(wanted, hardware, self.budget.clock() - started)
            if hardware.refused or self.judge.before_training(wanted, hardware):
                # Its evaluation ends at once, and says why.
                self._one(wanted)

    def _finished(self) -> str:
        if self.stop.requested:
            return "interrupted"
        if len(self.known) >= self.plan.space.size:
            return "every candidate of the space was evaluated"
        return self.budget.exhausted(self._evaluated) or (self._guide.finished() if self._guide else "")

    @property
    def _evaluated(self) -> int:
        """Candidates that cost budget. One that was only measured counts a part, so that a search in which
        nothing meets the limits ends as well; what cannot exist on the device counts nothing."""
        outcomes = [r.evaluation for r in self.known.values()]
        measured = sum(e.outcome is Outcome.GATED and not e.stopped_epoch for e in outcomes)
        refused = sum(e.outcome is Outcome.REFUSED for e in outcomes)
        return len(outcomes) - measured - refused + measured // MEASURED_PER_TRIAL

    def _queue_unknown(self) -> bool:
        """Queue a candidate that was not evaluated yet; False where there is none."""
        unknown = self._draw_unknown()
        if unknown is not None:
            self.studies.enqueue(self.plan.space.params(unknown))
        return unknown is not None

    def _draw_unknown(self) -> Candidate | None:
        rng = random.Random(f"{self.plan.seed} {len(self.known)}")
        for _ in range(DRAWS):
            candidate = self.plan.space.draw(rng)
            if candidate.digest not in self.known:
                return candidate
        left = [c for c in self.plan.space.candidates() if c.digest not in self.known]
        return rng.choice(left) if left else None

    def _one(self, wanted: Candidate | None = None, *, baseline: bool = False) -> TrialRecord | None:
        """One trial; None where it was interrupted (its candidate is queued again). `wanted` is queued."""
        with self.studies.together():
            if wanted is not None:
                self.studies.enqueue(self.plan.space.params(wanted), baseline=baseline)
            trial, candidate = self.studies.ask(self.plan.space.suggest)
        baseline = bool(trial.user_attrs.get("baseline"))
        started = time.time()
        earlier = self.known.get(candidate.digest)
        if earlier is not None:
            self._answered += 1
            return self.studies.tell_duplicate(trial, earlier, started)
        self.progress.started(trial.number, candidate)
        try:
            evaluation = self._evaluate(trial, candidate, baseline)
            if self._guide is not None:
                evaluation = replace(evaluation, proposal=self._guide.proposal(trial.number))
            if self.evaluator.reference_ms is None and evaluation.outcome is Outcome.COMPLETE:
                evaluation = self._learn_from_teacher(evaluation)
        except Interrupted:
            self.studies.give_up(trial)
            return None
        except BaseException:
            self.studies.give_up(trial)
            raise
        with self.studies.together():
            record = self.studies.tell(trial, evaluation, started)
            self.known[candidate.digest] = record
            self.judge.learn(record)
            self._answered += 1
            self._count()
        self.progress.finished(record)
        self.progress.budget(
            self._evaluated, self.budget.trials, self.budget.elapsed_seconds, self.budget.seconds
        )
        return record

    def _evaluate(self, trial: Trial, candidate: Candidate, baseline: bool) -> Evaluation:
        if trial.user_attrs.get("attempts", 0) >= ATTEMPTS:
            return Evaluation(
                candidate=candidate,
                outcome=Outcome.FAILED,
                stage="driver",
                cause=f"Paretune itself was killed {ATTEMPTS} times while it evaluated this candidate",
                baseline=baseline,
            )
        return self.evaluator.evaluate(candidate, self.judge, baseline=baseline)

    # -- the end --------------------------------------------------------------------------------------

    def _finalists(self) -> None:
        """Check the best on test. Where none of them holds its limits there, the next best are checked."""
        self._time_counts = False
        chosen: tuple[int, ...] = ()
        for _ in range(FINALIST_TURNS):
            record = self.studies.unweighed()
            if not chosen:  # those of an earlier session stand back: the search may have gone on since
                record = replace(record, finalists=())
            best = rank(record).best
            wanted = tuple(n for n in choose_finalists(record, self.plan.finalists) if n not in chosen)
            if not wanted or (best is not None and best.number in chosen):
                return
            chosen += wanted
            self.progress.note(f"measuring {len(chosen)} finalists against each other, scoring them on test")
            finalists = self.evaluator.finalists(
                record, chosen, rounds=self.plan.finalist_rounds, seed=self.plan.seed
            )
            self.frame = replace(self.frame, finalists=finalists)
            self.studies.save_frame(self.frame)

    def audit(self, share: float) -> StudyRecord:
        """Train a share of what the gate stopped after all, to see whether it was right."""
        record = self.studies.unweighed()
        done = {audited.number: audited for audited in record.audit}
        for number in choose_audited(record, share, self.plan.seed):
            if number in done or self.stop.requested:
                continue
            candidate = trial_of(record, number).evaluation.candidate
            self.progress.note(f"audit: #{number} is trained after all: {candidate.title}")
            try:
                evaluation = self.evaluator.evaluate(candidate, TrainEverything())
            except Interrupted:
                break
            done[number] = judged(record, number, evaluation)
            self.frame = replace(self.frame, audit=tuple(done[n] for n in sorted(done)))
            self.studies.save_frame(self.frame)
        return self.studies.record()

    def _count(self) -> None:
        # Kept after every trial, so that the report of a killed search counts right.
        self.frame = replace(self.frame, counters=self._counters())
        self.studies.save_frame(self.frame)
        self.studies.set("spent_seconds", self.budget.elapsed_seconds)

    def _counters(self) -> dict[str, float]:
        trials = self._answered
        outcomes = Counter(record.evaluation.outcome.value for record in self.known.values())
        counters: dict[str, float] = {
            "trials": trials,
            "candidates": len(self.known),
            "duplicates": trials - len(self.known),
            "space": self.plan.space.size,
            "measured": self._measured,
        }
        counters.update({outcome.value: float(outcomes[outcome.value]) for outcome in Outcome})
        counters.update(training_counts(tuple(self.known.values())))
        return counters

    def _save(self, stopped: str) -> None:
        said = tuple(self._guide.remarks) if self._guide is not None else ()
        remarks = tuple(dict.fromkeys((*self.plan.frame.remarks, *said)))
        self.frame = replace(self.frame, stopped=stopped or self.frame.stopped, remarks=remarks)
        with self.studies.together():
            self._count()
            baseline = strongest_simple_choice(self.studies.unweighed())
            self.frame = replace(self.frame, baseline=baseline)
            self.studies.save_frame(self.frame)


def training_counts(records: Sequence[TrialRecord]) -> dict[str, float]:
    """How many students this study trained, how often it trained one again with fake quantization, and the
    seconds spent on both."""
    trained = [s for r in records for s in r.evaluation.stages if s.name in TRAINING_STAGES]
    stages = [stage for stage in trained if stage.name != QAT]
    made = [stage for stage in stages if not stage.cached]
    used = {stage.key for stage in stages}
    again = [stage for stage in trained if stage.name == QAT and not stage.cached]
    return {
        "trainings": len(made),
        "qat_trainings": len(again),
        "training_seconds": sum(stage.seconds for stage in (*made, *again)),
        "trainings_used": len(used),
        "trainings_asked": len(stages),
    }


def _cannot_start(reference: Candidate, cause: str, log: str) -> UserError:
    last = log.strip().splitlines()[-1:] or [""]
    return UserError(
        f"the uncompressed teacher cannot run: {reference.title}",
        found=f"{cause}. {last[0]}".strip(),
        remedy="every number is taken against it, so the study needs it: mend the model or the runtime, or "
        "leave this backend out of `space.backend`",
    )


def _reference_failed(reference: Candidate, done: TrialRecord | None) -> Exception:
    if done is None:
        return Interrupted("interrupted")
    evaluation = done.evaluation
    cause = f"{evaluation.stage}: {evaluation.cause}" if evaluation.cause else evaluation.reason
    return _cannot_start(reference, cause, evaluation.log)
