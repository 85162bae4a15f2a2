"""How one candidate is evaluated: gate with untrained weights, train, compile, score, measure."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite

from ...profiles.errors import InternalError, StageError, UnsupportedError, UserError
from ...profiles.guard.user_code import user_code
from ...profiles.precision import Precision
from ..ladder.bench import Climbs
from ..ranking.known import TEST, VALIDATION, limits_on, violations
from ..record.agreement import ComputesWronglyError
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Finalist, Outcome, Quantity, StudyRecord
from ..record.finite import sound
from ..record.protocols import Decision, Hardware, Judge, Milestone, MilestoneJudge, Standard
from ..record.stops import Interrupted, NoTimeLeft, TrainingStopped
from ..record.timing import Timing
from ..record.treatment import UNTREATED, Treatment
from ..record.tuned import Tuned
from ..record.untrained import Untrained
from ..stages.chain import Chain, Trace
from ..stages.models.kept import WeightsLostError
from ..store.store import Entry
from .finalists import effort_for, measure_finalists
from .options_effort import OptionsAsked, tries_for
from .probed import measured_after
from .side_effect_scores import side_effect_metrics

LOG_CHARACTERS = 4000


class Evaluator:
    """Evaluates candidates one at a time, see `CandidateEvaluator`.

    `climbs` wins back what quantization lost. `side_effects` are those that limits name: known before the
    limits, which may depend on the teacher's numbers. `doubt` says why what untrained weights tell of a
    candidate may not hold. `treated` has the treatments that candidates start from, by their digests.
    """

    def __init__(
        self,
        chain: Chain,
        climbs: Climbs,
        side_effects: frozenset[str] = frozenset(),
        doubt: Callable[[Candidate], str] = lambda candidate: "",
        treated: Mapping[str, Treatment] | None = None,
        asked: OptionsAsked | None = None,
    ) -> None:
        self.chain, self._doubt, self._treated = chain, doubt, dict(treated or {})
        self._climbs, self._side_effect_names = climbs, side_effects
        self._hardware: dict[str, Hardware] = {}
        self._first_on_test, self._options = 0, asked

    def prepare_reference(self, candidate: Candidate) -> Timing | None:
        self.chain.device.set_reference(self.chain.compiled(candidate, Trace()), candidate)
        return self.chain.device.timing

    def remember(self, candidate: Candidate, hardware: Hardware) -> None:
        """Others have measured it with untrained weights."""
        self._hardware.setdefault(candidate.hardware_class().digest, hardware)

    def hardware(self, candidate: Candidate, standard: Standard, trace: Trace | None = None) -> Hardware:
        return self._hardware_of(candidate, standard, trace or Trace())

    def evaluate(self, candidate: Candidate, judge: Judge, *, baseline: bool = False) -> Evaluation:
        trace = Trace()
        known = Evaluation(candidate=candidate, outcome=Outcome.FAILED, baseline=baseline)
        ended = self._ended(known, judge, trace)
        about_teacher = (*ended.about_teacher, *trace.remarks)
        notes, stages = (*ended.notes, *trace.notes), tuple(trace.stages)
        whole = replace(ended, stages=stages, gate=trace.gate, notes=notes, about_teacher=about_teacher)
        return sound(whole)

    def _ended(self, known: Evaluation, judge: Judge, trace: Trace) -> Evaluation:
        try:
            # Code of the user's own runs in many places: exporters trace it, cutting looks into it.
            with user_code("the workload's code", around=True):
                return self._gated_or_complete(known, judge, trace)
        except StageError as error:  # first: what the user's code does wrong is one, too
            log, stage = error.log[-LOG_CHARACTERS:], error.stage or trace.at_hand
            failed = replace(known, stage=stage, cause=error.cause, log=log)
            agreement = error.agreement if isinstance(error, ComputesWronglyError) else None
            return replace(failed, try_again=error.outside, disagrees=error.disagrees, agreement=agreement)
        except (InternalError, UserError, Interrupted):
            raise
        except TrainingStopped as stop:
            trace.stopped(stop)
            gated = self._gated(known, stop.decision, judge, trace)
            epoch, how = stop.milestone.curve[-1][0], stop.decision
            return replace(gated, stopped_epoch=epoch, paused=how.pause, late=how.late)
        except UnsupportedError as error:
            again = isinstance(error, WeightsLostError)
            return replace(known, outcome=Outcome.REFUSED, reason=error.reason, try_again=again)
        except Exception as error:
            # Whatever a library raises concerns this candidate alone.
            cause = f"{type(error).__name__}: {error}".splitlines()[0][:300]
            log = traceback.format_exc()[-LOG_CHARACTERS:]
            return replace(known, stage=trace.at_hand, cause=cause, log=log)

    def _gated_or_complete(self, known: Evaluation, judge: Judge, trace: Trace) -> Evaluation:
        candidate = known.candidate
        decision = self._before_tuning(known, judge)
        if decision is not None:
            return self._gated(known, decision, judge, trace)
        if not self._worth_measuring_first(candidate, judge):
            return self._complete(known, candidate, judge, trace)
        hardware = self._hardware_of(candidate, judge.standard, trace)
        if hardware.refused:
            return replace(known, outcome=Outcome.REFUSED, reason=hardware.refused)
        trace.gate.update(hardware.metrics)
        if hardware.doubt:
            known = replace(known, notes=(f"the gate did not decide: {hardware.doubt}",))
        decision = judge.before_training(candidate, hardware)
        if decision is not None:
            return self._gated(known, decision, judge, trace)
        return self._complete(known, candidate, judge, trace)

    def _before_tuning(self, known: Evaluation, judge: Judge) -> Decision | None:
        """Why the candidate is not worth tuning; None where it is, is tuned, or need not be. The teacher as
        it is, a simple choice, is tuned for the comparison."""
        candidate, chain = known.candidate, self.chain
        compared = known.baseline and candidate.precision is Precision.FP32
        if chain.device.tuner.budget_of(candidate.backend) is None or compared:
            return None
        decision = judge.before_tuning(candidate)
        return None if decision is None or chain.is_tuned(candidate) else decision

    def _worth_measuring_first(self, candidate: Candidate, judge: Judge) -> bool:
        """Whether training is at stake; what is trained already costs no more than measuring it twice, nor
        does what is trained quickly."""
        if not self.chain.models.trains(candidate):
            return False
        done = all(training.done for training in self.chain.models.trainings(candidate))
        return candidate.hardware_class().digest in self._hardware or (judge.measures_first and not done)

    def _gated(self, known: Evaluation, decision: Decision, judge: Judge, trace: Trace) -> Evaluation:
        missed = violations(limits_on(trace.gate, judge.standard.limits), trace.gate)
        hardware = self._hardware.get(known.candidate.hardware_class().digest, Hardware())
        return replace(
            known,
            outcome=Outcome.GATED,
            reason=decision.reason,
            bound=decision.bound,
            violations=missed,
            **hardware.told,
            untrained=hardware.untrained,
        )

    def test_score(self, evaluation: Evaluation) -> Quantity:
        compiled, first = self.chain.artifact(evaluation), self._first_on_test
        return self.chain.quality(evaluation.candidate, compiled, Trace(), split=TEST, first=first)

    def finalists(
        self, record: StudyRecord, numbers: tuple[int, ...], *, rounds: int, seed: int
    ) -> tuple[Finalist, ...]:
        left = self._climbs.seconds_left
        asked, tries, kept = self._options, None, 0.0
        if asked is not None:
            tries = tries_for(record, numbers, self.chain, asked, left())
            kept = tries.seconds if isfinite(left()) else 0.0
        effort = effort_for(record, numbers, self.chain, rounds, seed, left() - kept)
        self._first_on_test = effort.first  # the reference is compared with them
        return measure_finalists(record, numbers, self.chain, effort, left, tries)

    def _complete(self, known: Evaluation, candidate: Candidate, judge: Judge, trace: Trace) -> Evaluation:
        def at_milestone(milestone: Milestone) -> Decision | None:
            return judge.at_milestone(candidate, milestone)

        self.chain.checkpoint()
        found, broken = self._as_it_is(known, judge.standard, trace, at_milestone)
        found = replace(found, float_quality=self._climbs.float_quality(found))
        try:
            return self._climbed(known, found, judge, trace, broken)
        except Interrupted as stop:
            asked_for = self._climbs.seconds_left() > 0 and not isinstance(stop, NoTimeLeft)
            if asked_for or broken is not None:
                raise  # the next session climbs
            return replace(found, notes=(*found.notes, f"the ladder was cut short: {stop.why}"))

    def _climbed(
        self, known: Evaluation, found: Evaluation, judge: Judge, trace: Trace, broken: StageError | None
    ) -> Evaluation:
        """The candidate after its climb, if it has one."""
        climb = self._climbs.climb(found, judge, trace, broken=broken is not None)
        if broken is not None and climb.treatment == found.treatment:
            cause = "; ".join((broken.cause, *climb.notes))
            raise StageError(
                broken.stage, cause, broken.log, disagrees=broken.disagrees, outside=broken.outside
            )
        if climb.treatment != found.treatment:
            # Mended, it is no simple choice any more.
            treated = self._as_treated(replace(known, baseline=False), climb.treatment, judge.standard, trace)
            found = replace(treated, float_quality=found.float_quality)
        found = replace(found, ladder=climb.rungs, notes=(*found.notes, *climb.notes))
        self._climbs.learn(found)
        return found

    def _as_it_is(
        self, known: Evaluation, standard: Standard, trace: Trace, at_milestone: MilestoneJudge
    ) -> tuple[Evaluation, StageError | None]:
        """The candidate before any climb. Where quantization broke it, and the ladder may mend that, also the
        error; the numbers are then those of an artifact that is of no use, as a place to climb from."""
        # What anyone would try first stays what it is.
        start = UNTREATED if known.baseline else self._treated.get(known.candidate.digest, UNTREATED)
        try:
            return self._as_treated(known, start, standard, trace, at_milestone), None
        except StageError as error:
            if not self._climbs.may_mend(known, error):
                raise
            return self._as_treated(known, start, standard, trace, checked=False), error

    def _as_treated(
        self,
        known: Evaluation,
        treatment: Treatment,
        standard: Standard,
        trace: Trace,
        at_milestone: MilestoneJudge | None = None,
        *,
        checked: bool = True,
    ) -> Evaluation:
        """Compile, score and measure the candidate's artifact."""
        candidate, chain = known.candidate, self.chain
        compiled = chain.compiled(
            candidate, trace, at_milestone=at_milestone, treatment=treatment, checked=checked
        )
        self.chain.checkpoint()
        probed = self._hardware.get(candidate.hardware_class().digest) if treatment == UNTREATED else None
        hardware = measured_after(probed, chain, candidate, compiled, trace, standard.reference_ms)
        self.chain.checkpoint()
        # Measured in a fresh process, scored in the same: the runner is started and the artifact loaded once.
        quality = chain.quality(candidate, compiled, trace, split=VALIDATION)
        metrics = {chain.models.metric.name: quality, **hardware.metrics, **chain.models.size(candidate)}
        metrics.update(self._side_effects(candidate, compiled))
        artifact = compiled.meta["artifact"]
        return replace(
            known,
            outcome=Outcome.COMPLETE,
            metrics=metrics,
            violations=violations(standard.limits, metrics),
            artifact_key=compiled.key,
            weight_bytes=dict(artifact["weight_bytes"]),
            stored_as=dict(artifact.get("stored_as", {})),
            zero_share=artifact.get("zero_share"),
            notes=(*known.notes, *artifact["notes"]),
            **hardware.told,
            untrained=self._looked_at(candidate, trace),
            treatment=treatment,
            tuning=self._tuned(candidate, standard, trace),
            agreement=chain.device.agreements.settled(compiled, candidate.backend),
        )

    def _tuned(self, candidate: Candidate, standard: Standard, trace: Trace) -> Tuned | None:
        """What tuning took, and the latency without it, where that runs at all."""
        if trace.tuned is None:
            return None
        try:
            before = self.chain.untuned_latency(candidate, standard.reference_ms)
        except (StageError, UnsupportedError):
            return trace.tuned
        return replace(trace.tuned, untuned_ms=before)

    def _side_effects(self, candidate: Candidate, compiled: Entry) -> dict[str, Quantity]:
        """Those that limits name, against the reference on validation."""
        names, chain = self._side_effect_names, self.chain
        if not names:
            return {}
        return side_effect_metrics(chain.models, chain.device, compiled, candidate.backend, VALIDATION, names)

    def _hardware_of(self, candidate: Candidate, standard: Standard, trace: Trace) -> Hardware:
        plain = candidate.hardware_class()
        if plain.digest not in self._hardware:
            try:
                self._hardware[plain.digest] = self._untrained(plain, standard, trace)
            except UnsupportedError as error:
                self._hardware[plain.digest] = Hardware(refused=error.reason)
        return self._hardware[plain.digest]

    def _looked_at(self, candidate: Candidate, trace: Trace) -> Untrained:
        plain = candidate.hardware_class()
        known = self._hardware.get(plain.digest)
        return known.untrained if known else self.chain.models.looked_at(plain, trace.add)

    def _untrained(self, candidate: Candidate, standard: Standard, trace: Trace) -> Hardware:
        """What untrained weights tell: measured on the device, with the verdict on its stability."""
        compiled = self.chain.compiled(candidate, trace, trained=False)
        self.chain.checkpoint()
        found = self.chain.measured(
            candidate, compiled, trace, reference_ms=standard.reference_ms, probe=True
        )
        models = self.chain.models
        metrics = {**found.metrics, **models.size(candidate)}
        untrained = models.looked_at(candidate, trace.add)
        return replace(found, metrics=metrics, doubt=self._doubt(candidate), untrained=untrained)
