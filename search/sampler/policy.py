"""Which candidate to measure next and which to evaluate next, from what is known."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..record.arrays import Flags
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Outcome
from ..record.protocols import Hardware
from .expectation import LEAST_PROBABLE, Expectation, Prospects
from .hypervolume_gain import Quality, expected_gain
from .knowledge import Knowledge
from .pool import spread_first
from .sought import Goal

START_TRAININGS = 6
MODELS_PER_START = 15
"""In a space of few models each of them is a large part of what can be learned: fewer stand at the start."""
NEARBY = 0.35
"""A start model may lie so far from its place, as a share of all, where that makes it cheaper."""
START_FROM, START_TO = 0.5, 0.95
"""Where the first models lie, by rank of cost on the device among those within the limits: large ones have
the best chance of a good quality, from which the model learns most."""
SURVEY_COST, SURVEY_LEAST, SURVEY_MOST = 0.5, 1.0, 10.0
"""The first measurements may take as long as so many trainings; at least and at most so many are made for
each value of each axis."""
AHEAD_COST, MOST_AHEAD = 0.02, 8
"""Where the best candidate is not measured, the next best are measured with it, while that takes no more than
such a share of a training: a latency that is predicted too well is a training lost. So many at most."""
RANDOM_SHARE, MOST_RANDOM, STALLED = 0.05, 0.5, 3.0
"""Of the proposals, so that no error of the models can hide a candidate for ever. The share doubles with
every so many evaluations that brought nothing."""
LEAST_GAIN = 1e-3
CONTINUED = "continued"
"""How a candidate was proposed whose training was paused."""


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A row of the pool, and what was expected of it."""

    row: int
    by: str
    quality: tuple[float, float, float] | None = None  # goodness: value, low, high of the 95 % interval
    gain: float | None = None
    seconds: float | None = None


class Policy:
    """Decisions over one `Knowledge`; every ranking is kept until something new is learned."""

    def __init__(self, knowledge: Knowledge, seed: int) -> None:
        self.knowledge, self.seed = knowledge, seed
        self.goal = Goal(knowledge)
        self.expectation = Expectation(knowledge, self.goal)
        self._ranking: Prospects | None = None
        self._survey: list[int] | None = None
        self._ahead: list[int] = []
        self._volume, self._without_gain = 0.0, 0
        rng = np.random.default_rng(seed)
        steps = (rng.permutation(START_TRAININGS) + rng.random(START_TRAININGS)) / START_TRAININGS
        self._places = START_FROM + (START_TO - START_FROM) * steps
        self.nothing_left = False

    # -- learning ------------------------------------------------------------------------------------

    def learn(self, evaluation: Evaluation) -> None:
        """Take in a trial that has ended."""
        known = self.knowledge
        before = len(known.points)
        known.learn(evaluation)
        self._ranking = None
        if len(known.points) > before:
            volume = self.goal.boxes()[1]
            self._without_gain = 0 if volume > self._volume * (1 + LEAST_GAIN) else self._without_gain + 1
            self._volume = volume
        elif evaluation.outcome is Outcome.COMPLETE:
            self._without_gain += 1
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
        self._ranking = None

    def set_aside(self, candidate: Candidate) -> None:
        """Propose a candidate no more: its evaluation is under way, or came to nothing."""
        row = self.knowledge.pool.row.get(candidate)
        if row is not None:
            self.knowledge.known[row] = True
            self._ranking = None

    def exclude(self, impossible: Callable[[Candidate], bool]) -> None:
        """Neither measure nor propose candidates of which nothing can come."""
        self.knowledge.exclude(impossible)
        self._ranking, self._ahead = None, []

    def candidate(self, row: int) -> Candidate:
        """The candidate of a row."""
        return self.knowledge.pool.candidates[row]

    # -- measuring -----------------------------------------------------------------------------------

    @property
    def surveying(self) -> bool:
        """Whether the first measurements are not done yet."""
        return bool(self._pending_survey())

    def wants(self) -> Candidate | None:
        """The next candidate to be measured, if that is worth it: the survey, then the best candidate."""
        pending = self._pending_survey()
        if pending:
            return self.knowledge.pool.class_candidates[pending[0]] and self._of_class(pending[0])
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
        costs = self.knowledge.costs
        typical = costs.typical_training or float(np.median(self.knowledge.model_seconds()))
        return int(np.clip(AHEAD_COST * typical / max(costs.measurement, 1e-6), 1, MOST_AHEAD))

    def _unmeasured(self, row: int) -> bool:
        """Whether a measurement would tell something before a training is spent, and costs no tuning."""
        return not self._measured(row) and self._untrained(row) and not self.knowledge.untuned()[row]

    def end_survey(self) -> None:
        """No first measurements any more."""
        self._survey = []

    def _pending_survey(self) -> list[int]:
        hardware = self.knowledge.hardware
        if self._survey is None:
            if not self.knowledge.baseline_points:
                return []
            trained = self.knowledge.trained_classes()
            costs = self.knowledge.costs
            typical = costs.typical_training or float(np.median(self.knowledge.model_seconds()))
            afford = int(SURVEY_COST * typical / max(costs.measurement, 1e-6))
            features = hardware.features
            varied = int((features > 0).any(axis=0).sum())
            wanted = int(min(max(afford, SURVEY_LEAST * varied), SURVEY_MOST * varied, len(trained)))
            chosen = spread_first(features[trained], wanted, self.seed) if wanted > 0 else []
            self._survey = [trained[place] for place in chosen]
        done = hardware.measured | hardware.refused
        self._survey = [group for group in self._survey if not done[group]]
        return self._survey

    def _of_class(self, group: int) -> Candidate | None:
        rows = np.flatnonzero((self.knowledge.pool.classes == group) & self.knowledge.open())
        if not len(rows):
            assert self._survey is not None
            self._survey.remove(group)
            return self.wants()
        return self.candidate(int(rows[0]))

    def _measured(self, row: int) -> bool:
        return bool(self.knowledge.hardware.measured[self.knowledge.pool.classes[row]])

    def _untrained(self, row: int) -> bool:
        return bool(self.knowledge.model_seconds()[self.knowledge.pool.models[row]] > 0)

    # -- proposing -----------------------------------------------------------------------------------

    @property
    def starting(self) -> bool:
        """Whether too few models were trained for any prediction."""
        known = self.knowledge
        models = len(known.trainings.needed)
        given_up = int(known.trainings.given_up.sum()) + len(known.unfinished.paused_models())
        few = known.trained - 1 + given_up < min(START_TRAININGS, models // MODELS_PER_START)
        return few and bool(known.open().any())

    def start(self) -> Choice | None:
        """One of the first models, in its form that promises most if its quality is as good as the best."""
        known = self.knowledge
        usable = known.open() & (self.goal.probable() > 0.5)
        rows = np.flatnonzero(usable)
        if not len(rows):
            rows = np.flatnonzero(known.open())
        if not len(rows):
            return None
        models = known.pool.models[rows]
        burden = np.zeros(len(rows))
        for name in known.hardware_objectives:
            logs = np.log(known.hardware_of(name)[rows])
            burden += np.nan_to_num(known.as_cost(name, logs))
        scored = {int(known.pool.models[row]) for row in known.observed}
        unique, place_of = np.unique(models, return_inverse=True)
        means = np.bincount(place_of, weights=burden) / np.bincount(place_of)
        ordered = unique[np.argsort(means, kind="stable")]
        place = self._places[max(0, known.trained - 1) % START_TRAININGS] * (len(ordered) - 1)
        away = np.abs(np.arange(len(ordered)) - place) / max(1, len(ordered) - 1)
        costs = known.model_seconds()[ordered]
        new = ~np.isin(ordered, list(scored))
        near = np.flatnonzero(new & (away <= max(NEARBY, float(away[new].min(initial=1.0)))))
        if not len(near):
            return self.best()
        model = int(ordered[near[np.lexsort((away[near], costs[near]))[0]]])
        forms = rows[models == model]
        goodness = known.best_goodness if np.isfinite(known.best_goodness) else 0.0
        even = Quality(mean=np.zeros(len(forms)), deviation=np.full(len(forms), 1e-3), top=goodness + 1.0)
        gain = expected_gain(
            self.goal.boxes()[0], self.goal.costs(forms), even, objective=known.quality_is_objective
        )
        gain = gain * self.goal.probable()[forms]
        row = int(forms[int(np.argmax(gain))])
        return Choice(row=row, by="start", seconds=float(known.seconds()[row]))

    def at_random(self, rng: random.Random) -> Choice | None:
        """Any candidate that is not known to miss a limit on the device; nothing is tuned at random."""
        left = self.knowledge.open() & ~self._paused()
        if (left & ~self.knowledge.untuned()).any():
            left = left & ~self.knowledge.untuned()
        rows = np.flatnonzero(left & (self.goal.probable() > LEAST_PROBABLE))
        if not len(rows):  # predictions may be wrong, measurements hardly
            rows = np.flatnonzero(left & self.goal.possible())
        if not len(rows):
            return None
        row = int(rows[rng.randrange(len(rows))])
        return Choice(row=row, by="random", seconds=float(self.knowledge.seconds()[row]))

    def _paused(self) -> Flags:
        """[rows] that wait for a training that was paused: what is expected of it decides, never chance."""
        known = self.knowledge
        found: Flags = np.isin(known.pool.models, known.unfinished.paused_models())
        return found

    def others(self, row: int) -> tuple[int, float] | None:
        """The best of the candidates that need none of this one's trainings, and its expected gain per
        second; None where no other has any."""
        known, ranking = self.knowledge, self._ranked()
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

    def _anything_left(self) -> bool:
        left = self.knowledge.open()
        measured = self.knowledge.hardware.measured[self.knowledge.pool.classes]
        paused = self._paused()
        new = left & ~paused
        return bool((new & ~measured).any() or (new & self.goal.possible()).any() or paused.any())

    def _ranked(self) -> Prospects:
        if self._ranking is None:
            self._ranking = self.expectation.rank()
            self.nothing_left = bool(self.knowledge.baseline_points) and not self._anything_left()
        return self._ranking
