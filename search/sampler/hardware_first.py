"""The `hardware-first` sampler: spend training only where the expected gain per second is largest.

An ordinary Optuna sampler over the finite space of legal candidates. What a candidate costs on the device is
measured beforehand, or predicted from what was measured; its quality is modelled with uncertainty. Proposed
is the candidate with the largest expected hypervolume gain per expected second, where only what is not in the
store yet costs anything. Nearest published relatives: FlexiBO (Iqbal et al. 2023, objectives weighed by their
cost) and LEMONADE (Elsken et al. 2019, cheap objectives first).
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FixedTrial, FrozenTrial, TrialState

from ..ranking.known import limits_on, violations
from ..record import kept
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Outcome, Proposal, Quantity
from ..record.protocols import Decision, Hardware, Milestone
from .beside import waits
from .choice import CONTINUED, Choice
from .knowledge import Knowledge
from .milestones import pause_at
from .policy import Policy
from .problem import CandidateFacts, SearchProblem, endless
from .stop_rule import StopRule

MISLED = "what untrained networks told ranked the trained ones the wrong way, and was left out"
DISTRUSTED = "the accuracy model predicted no better than a constant: candidates were drawn at random"
MEASURED_AT_ONCE = 4
"""So many times the best candidates are measured before a proposal at most, while the best one changes."""


class HardwareFirstSampler(BaseSampler):
    """Proposes candidates of a problem's space; `facts` answers what the trials do not tell.

    Without a `stop` rule it never asks for an end. Trainings that would not end within `seconds_left` are
    not proposed.
    """

    def __init__(
        self,
        problem: SearchProblem,
        facts: CandidateFacts,
        seed: int,
        stop: StopRule | None = None,
        seconds_left: Callable[[], float] = endless,
    ) -> None:
        self.problem, self.facts, self._seconds_left = problem, facts, seconds_left
        self._rng, self._seed, self._stop = random.Random(seed), seed, stop
        self._random = RandomSampler(seed=seed)
        self._policy: Policy | None = None
        self._impossible: Callable[[Candidate], bool] | None = None
        self._under_way: dict[Candidate, None] = {}
        self._seen: set[int] = set()  # places of the trials that were taken in
        self._all_before = 0  # all trials up to this place were
        self._proposals: dict[int, Proposal] = {}
        self._chosen: dict[int, dict[str, Any]] = {}
        self._measured_now = 0
        self._one_at_a_time = threading.Lock()
        self._gains: list[float] = []
        self._beside: list[int] = []
        self.remarks: dict[str, None] = {}

    # -- what the driver asks ------------------------------------------------------------------------

    def wants(self, study: Study, *, survey: bool = True) -> Candidate | None:
        """A candidate to be measured with untrained weights before the next proposal; None: propose.

        Without `survey` the first measurements, which tell the axes apart, are over.
        """
        policy = self._current(study)
        if not survey:
            policy.end_survey()
        if self._measured_now >= MEASURED_AT_ONCE * policy.measured_ahead and not policy.surveying:
            return None
        wanted = policy.wants()
        if wanted is not None:
            self._measured_now += 1
        return wanted

    def learn_hardware(self, candidate: Candidate, hardware: Hardware, seconds: float = 0.0) -> None:
        """Take in what was measured."""
        if self._policy is not None:
            self.end_measurement(candidate)
            self._policy.learn_hardware(candidate, hardware, seconds)

    def begin(self, candidate: Candidate) -> None:
        """A candidate is being evaluated from now on, while others are asked for."""
        self._under_way[candidate] = None
        if self._policy is not None:
            self._policy.begin(candidate)

    def end(self, candidate: Candidate, *, given_up: bool = False) -> None:
        """What was begun has ended, and its trial was told; or it was given up."""
        if candidate not in self._under_way:
            return
        del self._under_way[candidate]
        if self._policy is not None:
            self._policy.end(candidate, given_up=given_up)

    def begin_measurement(self, candidate: Candidate) -> None:
        """A candidate that `wants` had named is being measured from now on."""
        if self._policy is not None:
            self._policy.knowledge.flight.begin_measurement(candidate)

    def end_measurement(self, candidate: Candidate) -> None:
        """Its measurement has ended, or was given up."""
        if self._policy is not None:
            self._policy.knowledge.flight.end_measurement(candidate)

    def exclude(self, impossible: Callable[[Candidate], bool]) -> None:
        """Neither measure nor propose these candidates any more; all that were named before included."""
        self._impossible = impossible
        if self._policy is not None:
            self._policy.exclude(impossible)

    def proposal(self, number: int) -> Proposal | None:
        """Why the candidate of a trial was proposed; None where another part asked for it."""
        return self._proposals.pop(number, None)

    @property
    def measures_first(self) -> bool:
        """Whether networks are measured before they are trained; False where trainings cost too little."""
        return self._policy is None or self._policy.measures_first

    def best_hardware(self, candidate: Candidate) -> dict[str, float] | None:
        """The best of each hardware objective over all candidates that need the candidate's trainings."""
        return None if self._policy is None else self._policy.knowledge.best_hardware(candidate)

    def at_milestone(self, candidate: Candidate, milestone: Milestone) -> Decision | None:
        """Why a training is better paused there; None: go on."""
        return None if self._policy is None else pause_at(self._policy, candidate, milestone)

    def wanted_back(self, milestone: Milestone) -> bool:
        """Whether a training was paused there, and has been asked for again."""
        return self._policy is not None and self._policy.knowledge.unfinished.paused_at(milestone)

    def pays_to_go_on(self) -> bool:
        """Whether a paused training is what promises most, or what was paused costs none any more, since it
        went on for another form."""
        if self._policy is None:
            return False
        best = self._policy.best()
        return (best is not None and best.by == CONTINUED) or bool(self._policy.trained().any())

    def waits(self, study: Study) -> bool:
        """Whether nothing is worth proposing before something that is under way has ended."""
        policy = self._current(study)
        return waits(policy) or (bool(policy.knowledge.flight) and bool(self._ended()))

    def finished(self) -> str:
        """Why the search may end, or an empty text. While something is under way it never does."""
        under_way = self._policy is not None and bool(self._policy.knowledge.flight)
        return "" if under_way else self._ended()

    def _ended(self) -> str:
        if self._policy is not None and self._policy.nothing_left:
            if not self._policy.knowledge.in_time().all():
                return "no training that is left would end in the time that is left"
            tuned = ", or would be worth tuning" if self.problem.tuning else ""
            return f"no candidate is left that could meet the limits{tuned}"
        if self._stop is None or self._policy is None:
            return ""
        return self._stop.ended(self._gains, self._beside)

    # -- Optuna's interface --------------------------------------------------------------------------

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """The parameters of the candidate that is proposed; none where the trial was queued by somebody."""
        if "fixed_params" in trial.system_attrs:
            return {}
        with self._one_at_a_time:  # Optuna may ask from several threads
            policy = self._current(study)
            self._measured_now = 0
            chosen = self._choose(policy)
            if chosen is None:
                return {}
            asked = self.problem.space.asked(policy.propose(chosen))
            self._chosen[trial.number] = asked.params
            self._proposals[trial.number] = self._explained(policy, chosen)
            return asked.distributions

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """The proposal's parameters."""
        return self._chosen.pop(trial.number, {})

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """One parameter that nobody decided, at random."""
        return self._random.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        self._rng.seed()
        self._random.reseed_rng()

    # -- inside --------------------------------------------------------------------------------------

    def _current(self, study: Study) -> Policy:
        """The policy, with every trial taken in that has ended since."""
        if self._policy is None:
            problem = self.problem
            knowledge = Knowledge(problem, self.facts, self._seed, self._seconds_left)
            self._policy = Policy(knowledge, self._seed)
            if self._impossible is not None:
                self._policy.exclude(self._impossible)
            for candidate in self._under_way:
                self._policy.begin(candidate)
        for place, trial in enumerate(study.get_trials(deepcopy=False)[self._all_before :], self._all_before):
            if place not in self._seen and trial.state.is_finished():
                self._seen.add(place)
                self._take_in(trial, self._policy)
        while self._all_before in self._seen:
            self._all_before += 1
        self._policy.look_again()
        return self._policy

    def _take_in(self, trial: FrozenTrial, policy: Policy) -> None:
        """Learn from the evaluation that a trial carries; of a plain Optuna trial, from its values."""
        if kept.KEPT in trial.user_attrs:
            evaluation = kept.read(trial.user_attrs[kept.KEPT], trial.number)
            policy.learn(evaluation)
            self._note_gain(policy, evaluation.proposal)
            return
        if "duplicate_of" in trial.user_attrs:
            return
        try:
            candidate = self.problem.space.suggest(FixedTrial(trial.params))
        except (StopIteration, ValueError):
            return  # it ended before all was chosen, or was made for another space
        if trial.state is TrialState.COMPLETE:
            policy.learn(self._of_values(candidate, trial.values))
        else:
            policy.set_aside(candidate)

    def _of_values(self, candidate: Candidate, values: Sequence[float]) -> Evaluation:
        pairs = zip(self.problem.objectives, values, strict=True)
        metrics = {objective.metric: Quantity(value=value) for objective, value in pairs}
        return Evaluation(
            candidate=candidate,
            outcome=Outcome.COMPLETE,
            metrics=metrics,
            violations=violations(limits_on(metrics, self.facts.limits), metrics),
        )

    def _choose(self, policy: Policy) -> Choice | None:
        """The next candidate; None where none is left."""
        if policy.knowledge.networks.misleading:
            self.remarks[MISLED] = None
        first = policy.variant() or (policy.start() if policy.starting else None)
        if first is not None:
            return first
        if self._rng.random() < policy.random_share:
            return policy.at_random(self._rng)
        if not policy.trusted():
            self.remarks[DISTRUSTED] = None
            return policy.at_random(self._rng)
        best = policy.best()
        if best is not None:
            return best
        drawn = policy.at_random(self._rng)
        return None if drawn is None else replace(drawn, gain=0.0)

    def _note_gain(self, policy: Policy, proposal: Proposal | None) -> None:
        """What the stop rule looks at; read from the trials, so that a resumed study goes on counting."""
        if proposal is not None and proposal.gain is not None:
            self._gains.append(policy.gain_per_training(proposal.gain, proposal.seconds))
            self._beside.append(proposal.beside)

    def _explained(self, policy: Policy, chosen: Choice) -> Proposal:
        quality = None
        if chosen.quality is not None:
            value, *ends = map(self.problem.scale.goodness, chosen.quality)
            if self.problem.scale.is_share:
                value, *ends = (min(max(end, 0.0), 1.0) for end in (value, *ends))
            ends.sort()
            how = "predicted from the candidates scored until then"
            quality = Quantity(value=value, low=ends[0], high=ends[1], provenance="estimated", how=how)
        beside = len(policy.knowledge.flight)
        return Proposal(
            by=chosen.by, quality=quality, gain=chosen.gain, seconds=chosen.seconds, beside=beside
        )
