"""What decides a search: sampler, gate and stop rule as one value that learns from records."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from optuna.samplers import BaseSampler
from optuna.study import Study

from ..gate.gate import Gate
from ..record.candidate import Candidate
from ..record.evaluation import Limit, Proposal, Quantity, TrialRecord
from ..record.protocols import Decision, Hardware, Milestone, NeededTrainings, Standard, Training
from ..record.untrained import Untrained
from ..sampler.hardware_first import HardwareFirstSampler
from ..sampler.problem import SearchPart, SearchProblem, endless
from ..sampler.stop_rule import StopRule
from ..space.space import Space


class Search:
    """Answers what to measure first, what to propose, whether to train, and whether to go on; see `Judge`.

    `sampler` proposes, by Optuna's interface. A `guide` also says what to measure before it does, and when
    nothing is left to gain. Without a `gate` everything is trained. It sees no model, no store and no device:
    it is told what they have found.
    """

    def __init__(
        self,
        sampler: BaseSampler,
        gate: Gate | None = None,
        guide: HardwareFirstSampler | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        self.sampler, self._gate, self._guide, self._remarks = sampler, gate, guide, tuple(remarks)
        self._standard = Standard()

    # -- what it is told ------------------------------------------------------------------------------

    def settle(self, standard: Standard) -> None:
        """The reference was measured."""
        self._standard = standard
        if self._gate is not None:
            self._gate.judge_by(standard.limits)

    def learn(self, record: TrialRecord) -> None:
        """A trial has ended. (Samplers look at the study's trials themselves.)"""
        if self._gate is not None:
            self._gate.learn(record)
        if self._guide is not None:
            self._guide.end(record.evaluation.candidate)

    def begin(self, candidate: Candidate) -> None:
        """A candidate is being evaluated from now on, while others are asked for: until it is learned of or
        given up it is not proposed again, nor is any that needs one of the trainings that it does."""
        if self._guide is not None:
            self._guide.begin(candidate)

    def give_up(self, candidate: Candidate) -> None:
        """What was begun came to nothing: it may be proposed again."""
        if self._guide is not None:
            self._guide.end(candidate, given_up=True)

    def begin_measurement(self, candidate: Candidate) -> None:
        """What was asked for by `wants` is being measured from now on, while others are asked for: until that
        was learned or given up, nothing of its hardware class is asked for again."""
        if self._guide is not None:
            self._guide.begin_measurement(candidate)

    def give_up_measurement(self, candidate: Candidate) -> None:
        """A measurement that was begun came to nothing."""
        if self._guide is not None:
            self._guide.end_measurement(candidate)

    def learn_hardware(self, candidate: Candidate, hardware: Hardware, seconds: float) -> None:
        """What was asked for by `wants` was measured, which took so many seconds."""
        if self._guide is not None:
            self._guide.learn_hardware(candidate, hardware, seconds)

    def exclude(self, impossible: Callable[[Candidate], bool]) -> None:
        """Nothing can come of these candidates: they are neither measured nor proposed from here on, where
        the sampler is ours. (Others propose what they like; it is refused without any work.)"""
        if self._guide is not None:
            self._guide.exclude(impossible)

    # -- what it answers ------------------------------------------------------------------------------

    @property
    def standard(self) -> Standard:
        return self._standard

    def wants(self, study: Study, *, survey: bool) -> Candidate | None:
        """What to measure with untrained weights before the next proposal; None: nothing.

        Without `survey` the first measurements, which tell the axes apart, are over.
        """
        return None if self._guide is None else self._guide.wants(study, survey=survey)

    def proposal(self, number: int) -> Proposal | None:
        """Why the candidate of a trial was proposed, where that can be told."""
        return None if self._guide is None else self._guide.proposal(number)

    def before_tuning(self, candidate: Candidate) -> Decision | None:
        return None if self._gate is None else self._gate.before_tuning(candidate)

    @property
    def measures_first(self) -> bool:
        return self._guide is None or self._guide.measures_first

    def before_training(self, candidate: Candidate, hardware: Hardware) -> Decision | None:
        return None if self._gate is None else self._gate.before_training(candidate, hardware)

    def at_milestone(self, candidate: Candidate, milestone: Milestone) -> Decision | None:
        if self._gate is None:
            return None
        guide = self._guide
        hopeless = partial(self._gate.at_milestone, candidate, milestone)
        if guide is None or SearchPart.CURVES in guide.problem.without:
            return hopeless(None if guide is None else guide.best_hardware(candidate))
        if guide.wanted_back(milestone):
            return None
        given_up = hopeless(guide.best_hardware(candidate))
        return replace(given_up, pause=True) if given_up else guide.at_milestone(candidate, milestone)

    def worth_climbing(
        self, candidate: Candidate, metrics: Mapping[str, Quantity], best_quality: float
    ) -> bool:
        return self._gate is None or self._gate.worth_climbing(candidate, metrics, best_quality)

    def pays_to_go_on(self) -> bool:
        """Whether of what was paused something is to go on, or only left to be evaluated."""
        return self._guide is not None and self._guide.pays_to_go_on()

    def waits(self, study: Study) -> bool:
        """Whether nothing is worth proposing before something that is under way has ended; else there is
        something to propose, or `finished` says why there never will be."""
        return self._guide is not None and self._guide.waits(study)

    def finished(self) -> str:
        """Why the search may end, or an empty text. While something is under way it never does."""
        return "" if self._guide is None else self._guide.finished()

    def remark(self, text: str) -> None:
        """Have something said of the search in reports."""
        self._remarks = (*self._remarks, text)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said of it in reports."""
        said = () if self._guide is None else self._guide.remarks
        return tuple(dict.fromkeys((*self._remarks, *said)))


def hardware_first(
    problem: SearchProblem,
    gate: Gate,
    needed: NeededTrainings,
    seed: int,
    stop: StopRule | None = None,
    remarks: Sequence[str] = (),
    seconds_left: Callable[[], float] = endless,
) -> Search:
    """The search of this product: its sampler asks its gate for bounds, and the gate the sampler for what
    candidates may cost. `seconds_left` are those for trainings."""
    answers = _Answers(gate=gate, needed=needed, space=problem.space)
    sampler = HardwareFirstSampler(problem, answers, seed, stop, seconds_left)
    return Search(sampler, gate, guide=sampler, remarks=remarks)


@dataclass(frozen=True)
class _Answers:
    """What the sampler may ask, answered by the gate and the models."""

    gate: Gate
    needed: NeededTrainings
    space: Space

    @property
    def limits(self) -> tuple[Limit, ...]:
        return self.gate.limits

    def trains(self, candidate: Candidate) -> bool:
        return self.needed.trains(candidate)

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        return self.needed.trainings(candidate)

    def untrained(self, candidate: Candidate) -> Untrained:
        return self.needed.untrained(candidate)

    def worth_tuning(self, candidate: Candidate) -> bool:
        return self.gate.before_tuning(candidate) is None

    def ceiling(self, candidate: Candidate, macs: float | None) -> float | None:
        return self.gate.ceiling(candidate, macs)

    def doubtful(self, candidate: Candidate) -> bool:
        return bool(self.space.doubt(candidate))
