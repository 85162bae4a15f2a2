"""Which candidate to measure next and which to evaluate next, from what is known."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np

from ..record.arrays import Flags
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Outcome
from ..record.protocols import Hardware
from .choice import CONTINUED, Choice
from .expectation import LEAST_PROBABLE, Expectation
from .first_designs import FirstDesigns
from .knowledge import Knowledge
from .problem import SearchPart
from .prospects import Prospects
from .sought import Goal
from .survey import Survey

AHEAD_COST, MOST_AHEAD = 0.05, 30
"""Where the best candidate is not measured, the next best are measured with it, while that takes no more than
such a share of a training: a latency that is predicted too well is a training lost. So many at most."""
RANDOM_SHARE, MOST_RANDOM, STALLED = 0.05, 0.5, 3.0
"""Of the proposals, so that no error of the models can hide a candidate for ever. The share doubles with
every so many evaluations that brought nothing; of those proposed beside each other each is a part of one."""
LEAST_GAIN = 1e-3


class Policy:
    """Decisions over one `Knowledge`; every ranking is kept until something new is learned."""

    def __init__(self, knowledge: Knowledge, seed: int) -> None:
        self.knowledge = knowledge
        self.goal = Goal(knowledge)
        self.expectation = Expectation(knowledge, self.goal)
        self._ranking: Prospects | None = None
        self._others: tuple[int, Prospects] | None = None
        self._rates: dict[Candidate, float] = {}  # of the candidate that was proposed last
        self._survey, self._starts = Survey(knowledge, seed), FirstDesigns(knowledge, self.goal, seed)
        self._ahead: list[int] = []
        self._volume, self._without_gain = 0.0, 0.0
        self.nothing_left = False

    # -- learning ------------------------------------------------------------------------------------

    def _rank_anew(self) -> None:
        self._ranking = self._others = None

    def learn(self, evaluation: Evaluation) -> None:
        """Take in a trial that has ended."""
        known = self.knowledge
        before = len(known.points)
        missed = 1 / (1 + (evaluation.proposal.beside if evaluation.proposal else 0))
        known.learn(evaluation)
        self._rank_anew()
        if len(known.points) > before:
            volume = self.goal.boxes()[1]
            gained = volume > self._volume * (1 + LEAST_GAIN)
            self._volume, self._without_gain = volume, 0.0 if gained else self._without_gain + missed
        elif evaluation.outcome is Outcome.COMPLETE:
            self._without_gain += missed
        if evaluation.outcome is Outcome.COMPLETE:
            self._ahead = []

    @property
    def random_share(self) -> float:
        """Share of proposals that are drawn at random: it grows while the models lead nowhere."""
        return float(min(MOST_RANDOM, RANDOM_SHARE * 2 ** (self._without_gain / STALLED)))

    def learn_hardware(self, candidate: Candidate, hardware: Hardware, seconds: float) -> None:
        """Take in a measurement with untrained weights."""
        self.knowledge.learn_hardware(candidate, hardware)
        self.knowledge.costs.learn_measurement(seconds)
        self._survey.spend(seconds)
        self._rank_anew()

    def set_aside(self, candidate: Candidate) -> None:
        """Propose a candidate no more: its evaluation is under way, or came to nothing."""
        row = self.knowledge.pool.row.get(candidate)
        if row is not None:
            self.knowledge.known[row] = True
            self._rank_anew()

    def look_again(self) -> None:
        """Rank anew if something was heard since, which may change what is best to be begun beside it."""
        if self.knowledge.flight.news():
            self._rank_anew()

    def propose(self, chosen: Choice) -> Candidate:
        """The candidate of a choice, which comes up no more: it may come to nothing, or others be asked for
        until it ends."""
        candidate = self.candidate(chosen.row)
        self._rates = {candidate: chosen.rate}
        self.set_aside(candidate)
        return candidate

    def begin(self, candidate: Candidate) -> None:
        """A worker evaluates it from now on, until it is learned of or given up: see `InFlight`."""
        self.set_aside(candidate)
        known, row = self.knowledge, self.knowledge.pool.row.get(candidate)
        known.flight.begin(candidate, self._rates.pop(candidate, 0.0))
        if row is not None and known.untuned()[row]:  # which may take longer than to train: it is not awaited
            known.flight.hear(candidate)

    def end(self, candidate: Candidate, *, given_up: bool) -> None:
        """What was begun has ended. If it was given up it may be proposed again."""
        known, row = self.knowledge, self.knowledge.pool.row.get(candidate)
        known.flight.end(candidate)
        if given_up and row is not None:
            known.known[row] = not known.pool.own[row] or known.hardware.refused[known.pool.classes[row]]
        self._rank_anew()

    def exclude(self, impossible: Callable[[Candidate], bool]) -> None:
        """Neither measure nor propose candidates of which nothing can come."""
        self.knowledge.exclude(impossible)
        self._rank_anew()
        self._ahead = []

    def candidate(self, row: int) -> Candidate:
        """The candidate of a row."""
        return self.knowledge.pool.candidates[row]

    # -- measuring -----------------------------------------------------------------------------------

    @property
    def measures_first(self) -> bool:
        """Whether one more measurement with untrained weights is worth what it takes."""
        known = self.knowledge
        on_device = any(limit.metric in known.hardware.metrics for limit in known.facts.limits)
        return on_device or self._survey.in_proportion

    @property
    def surveying(self) -> bool:
        """Whether one of the first measurements is due."""
        return self._survey.in_proportion and bool(self._survey.pending())

    def wants(self) -> Candidate | None:
        """The next candidate to be measured, if that is worth it: the survey, then the best candidate."""
        if not self.measures_first:
            return None
        while self.surveying:
            pending = self._survey.pending()
            rows = self._survey.rows(pending[0])
            if len(rows):
                return self.candidate(int(rows[0]))
        if self.variant() is not None:
            return None
        if not self._ahead:
            best = self.start() if self.starting else self.best()
            if best is None or not self._unmeasured(best.row):
                return None
            others = () if self.starting else self._ranked().rows[: self.measured_ahead]
            self._ahead = list(dict.fromkeys([best.row, *(int(row) for row in others)]))
        while self._ahead:
            row = self._ahead.pop(0)
            if self._unmeasured(row) and self.knowledge.open()[row]:
                return self.candidate(row)
        return self.wants()  # the others turned out to cost the same as what was measured

    @property
    def measured_ahead(self) -> int:
        """How many of the best candidates are measured at a time; 1 where measuring is dear."""
        return int(np.clip(self.knowledge.measurements_for(AHEAD_COST), 1, MOST_AHEAD))

    def _unmeasured(self, row: int) -> bool:
        """Whether a measurement would tell something before a training is spent, and costs no tuning."""
        known = self.knowledge
        group = int(known.pool.classes[row])
        if known.hardware.measured[group] or group in known.flight.classes():
            return False
        return self.untrained(row) and not known.untuned()[row]

    def end_survey(self) -> None:
        """No first measurements any more."""
        self._survey.end()

    def untrained(self, row: int) -> bool:
        """Whether a training is to be paid for it."""
        return bool(self.knowledge.model_seconds()[self.knowledge.pool.models[row]] > 0)

    def trained(self) -> Flags:
        """[rows] that may be proposed and cost no training."""
        found: Flags = (self.knowledge.model_seconds() == 0)[self.knowledge.pool.models]
        return found & self.knowledge.open()

    # -- proposing -----------------------------------------------------------------------------------

    @property
    def starting(self) -> bool:
        """Whether one of the first models is to be proposed."""
        return self._starts.missing

    @property
    def started(self) -> bool:
        """Whether enough models were trained for predictions."""
        return not self._starts.missing_results

    def start(self) -> Choice | None:
        """One of the first models."""
        row = self._starts.next()
        if row is None:
            return self.best()
        return Choice(row=row, by="start", seconds=float(self.knowledge.seconds()[row]))

    def variant(self) -> Choice | None:
        """Another form of a student that is trained; none where the gain decides when these are tried."""
        if SearchPart.VARIANTS not in self.knowledge.problem.without:
            return None
        seconds = self.knowledge.seconds()
        rows: list[int] = np.flatnonzero(self.trained()).tolist()
        row = next((row for row in rows if not self.candidate(row).is_teacher), None)
        return None if row is None else Choice(row=row, by="start", seconds=float(seconds[row]))

    def at_random(self, rng: random.Random) -> Choice | None:
        """Any candidate that is not known to miss a limit on the device, cheap ones more often, so that each
        cost has its share of the time. Nothing is tuned at random; paused trainings go on where nothing else
        is left, but for hopeless ones."""
        left = self.knowledge.open() & ~self._paused()
        left = left if left.any() else self.knowledge.open() & ~self._paused(hopeless=True)
        if (left & ~self.knowledge.untuned()).any():
            left = left & ~self.knowledge.untuned()
        rows = np.flatnonzero(left & (self.goal.probable() > LEAST_PROBABLE))
        if not len(rows):  # predictions may be wrong, measurements hardly
            rows = np.flatnonzero(left & self.goal.possible())
        if not len(rows):
            return None
        seconds = self.knowledge.seconds()
        row = int(rng.choices(rows.tolist(), weights=(1 / np.maximum(seconds[rows], 1e-6)).tolist())[0])
        by = CONTINUED if self._paused()[row] else "random"
        return Choice(row=row, by=by, seconds=float(seconds[row]))

    def _paused(self, *, hopeless: bool = False) -> Flags:
        """[rows] that wait for a training that was paused: what is expected of it decides before chance."""
        paused = self.knowledge.unfinished.paused_models(hopeless=hopeless)
        found: Flags = np.isin(self.knowledge.pool.models, paused)
        return found

    def others(self, row: int) -> tuple[int, float] | None:
        """The best of the candidates that need none of this one's trainings, and its expected gain per
        second; None where no other has any."""
        known, ranking = self.knowledge, self._ranked_without(row)
        mine = np.isin(known.pool.models, known.trainings.sharing(int(known.pool.models[row])))
        places = np.flatnonzero(~mine[ranking.rows])
        if not len(places):
            return None
        first = places[0]
        return int(ranking.rows[first]), float(ranking.gain[first] / ranking.seconds[first])

    def best(self) -> Choice | None:
        """The candidate with the largest expected gain per expected second; None where none has any."""
        ranking = self._ranked()
        if not len(ranking.rows):
            return None
        middle, spread = ranking.means[0], ranking.deviations[0]
        return Choice(
            row=int(ranking.rows[0]),
            by=CONTINUED if self._paused()[int(ranking.rows[0])] else "gain",
            quality=self.expectation.goodness(float(middle), float(spread)),
            gain=ranking.hoped / ranking.volume if ranking.volume > 0 else None,
            seconds=float(ranking.seconds[0]),
            rate=float(ranking.gain[0] / ranking.seconds[0]),
        )

    def gain_per_training(self, gain: float, seconds: float | None) -> float:
        """Growth of the hypervolume, as a share, that a training's time is expected to bring."""
        if not seconds:
            return np.inf
        costs = self.knowledge.costs
        return gain / seconds * max(costs.typical_training, costs.device)

    def trusted(self) -> bool:
        """Whether the model predicts known candidates, each left out, better than a constant would."""
        self._ranked()
        return self.expectation.trusted

    def anything(self, left: Flags) -> bool:
        """Whether anything of these rows might be of use."""
        measured = self.knowledge.hardware.measured[self.knowledge.pool.classes]
        paused = self._paused() & left
        new = left & ~paused
        return bool((new & ~measured).any() or (new & self.goal.possible()).any() or paused.any())

    def _ranked(self) -> Prospects:
        if self._ranking is None:
            self._ranking = self.expectation.rank()
            anything = self.anything(self.knowledge.left())
            self.nothing_left = bool(self.knowledge.baseline_points) and not anything
        return self._ranking

    def _ranked_without(self, row: int) -> Prospects:
        """As if a candidate that is under way were not."""
        if row not in self.knowledge.flight.rows():
            return self._ranked()
        if self._others is None or self._others[0] != row:
            self._others = row, self.expectation.rank(without=row)
        return self._others[1]
