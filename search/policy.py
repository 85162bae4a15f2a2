"""Which candidate to measure next and which to evaluate next, from what is known."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .candidate import Candidate
from .contract import Hardware
from .evaluation import Evaluation, Limit, Outcome
from .gain import Boxes, Quality, expected_gain, undominated
from .knowledge import Knowledge
from .pool import spread_first
from .surrogate import Inputs, Prediction, Surrogate
from .usefulness import chance_to_work

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

START_TRAININGS = 10
MODELS_PER_START = 15
"""In a space of few models each of them is a large part of what can be learned: fewer stand at the start."""
NEARBY = 0.35
"""A start model may lie so far from its place, as a share of all, where that makes it cheaper."""
START_FROM, START_TO = 0.5, 0.95
"""Where the first models lie, by rank of cost on the device among those within the limits: large ones have
the best chance of a good quality, from which the model learns most."""
MOST_KNOWN = 256
"""Observations that the model of quality is fitted to."""
SHORTLIST = 256
"""Candidates that are judged by all parts of the model; the others by its likeliest part alone."""
CLOSELY = 24
"""Of the best, the bound on the quality is asked for."""
SURVEY_COST, SURVEY_LEAST, SURVEY_MOST = 0.5, 1.0, 4.0
"""The first measurements may take as long as so many trainings; at least and at most so many are made for
each value of each axis."""
CLIPPED = 0.25
"""Of the range between corner and best quality: what lies further below the corner is of no interest."""
WORST = 0.1
"""The corner lies so far below the best quality, where nothing else was said: of 1 for a share, else of its
amount."""
RANDOM_SHARE, MOST_RANDOM, STALLED = 0.05, 0.5, 3.0
"""Of the proposals, so that no error of the models can hide a candidate for ever. The share doubles with
every so many evaluations that brought nothing."""
LEAST_GAIN = 1e-3
TRUST_FROM, DISTRUST = 20, 1.15
"""From so many known candidates on, a squared error so many times that of a constant is too large."""
HEADROOM = 0.5
"""The quality is not expected to go further beyond the best one, as a share of the range from the corner."""
LEAST_SPREAD = 0.3  # of the logarithm of the distance to the top, before the data says anything
LEAST_PROBABLE = 0.02


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A row of the pool, and what was expected of it."""

    row: int
    by: str
    quality: tuple[float, float, float] | None = None  # goodness: value, low, high of the 95 % interval
    gain: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Ranking:
    """Rows with any expected gain, best rate first."""

    rows: NDArray[np.int64]
    gain: Floats
    rate: Floats
    seconds: Floats
    means: Floats
    deviations: Floats
    volume: float


class Policy:
    """Decisions over one `Knowledge`; every ranking is kept until something new is learned."""

    def __init__(self, knowledge: Knowledge, seed: int) -> None:
        self.knowledge, self.seed = knowledge, seed
        problem = knowledge.problem
        self._share, self._reference = problem.quality_is_share, dict(problem.reference)
        self._surrogate = Surrogate()
        self._ranking: _Ranking | None = None
        self._survey: list[int] | None = None
        self._trust, self._top = True, 1.0
        self._volume, self._without_gain = 0.0, 0
        rng = np.random.default_rng(seed)
        steps = (rng.permutation(START_TRAININGS) + rng.random(START_TRAININGS)) / START_TRAININGS
        self._places = START_FROM + (START_TO - START_FROM) * steps
        self._chance = self._factor = np.ones(len(knowledge.pool))
        self.nothing_left = False

    # -- learning ------------------------------------------------------------------------------------

    def learn(self, evaluation: Evaluation) -> None:
        """Take in a trial that has ended."""
        known = self.knowledge
        before = len(known.points)
        known.learn(evaluation)
        self._ranking = None
        if len(known.points) > before:
            volume = self._boxes()[1]
            self._without_gain = 0 if volume > self._volume * (1 + LEAST_GAIN) else self._without_gain + 1
            self._volume = volume
        elif evaluation.outcome is Outcome.COMPLETE:
            self._without_gain += 1

    @property
    def stalled(self) -> bool:
        """Whether the last evaluations brought nothing."""
        return self._without_gain >= STALLED

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
        best = self.start() if self.starting else self.best()
        if best is None or self._measured(best.row) or not self._untrained(best.row):
            return None
        return self.candidate(best.row)

    def _pending_survey(self) -> list[int]:
        hardware, pool = self.knowledge.hardware, self.knowledge.pool
        if self._survey is None:
            if not self.knowledge.baseline_points:
                return []
            trained = [g for g, c in enumerate(pool.class_candidates) if self.knowledge.facts.trains(c)]
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

    def best_hardware(self, candidate: Candidate) -> dict[str, float] | None:
        """The best of each hardware objective over all candidates that need a training of this one's.

        Predictions are taken at the good end of their error.
        """
        known, pool = self.knowledge, self.knowledge.pool
        row = pool.row.get(candidate)
        if row is None:
            return None
        model = int(pool.models[row])
        rows = np.flatnonzero(np.isin(pool.models, known.trainings.sharing(model)))
        can = rows[~known.hardware.refused[pool.classes[rows]]]
        if not len(can):
            return None
        found = {}
        for name in known.hardware_objectives:
            column = known.hardware.metrics.index(name)
            values = known.hardware_of(name)[can]
            sure = ~np.isnan(known.hardware.known[pool.classes[can], column])
            values = np.where(sure, values, values * np.exp(-2 * known.hardware.errors[column]))
            if np.isnan(values).any():
                return None
            found[name] = float(values.min())
        return found

    # -- proposing -----------------------------------------------------------------------------------

    @property
    def starting(self) -> bool:
        """Whether too few models were trained for any prediction."""
        known = self.knowledge
        models = len(known.trainings.needed)
        given_up = int(known.trainings.given_up.sum())
        few = known.trained - 1 + given_up < min(START_TRAININGS, models // MODELS_PER_START)
        return few and bool(known.open().any())

    def start(self) -> Ranked | None:
        """One of the first models, in its form that promises most if its quality is as good as the best."""
        known = self.knowledge
        usable = known.open() & (self._probable() > 0.5)
        rows = np.flatnonzero(usable)
        if not len(rows):
            rows = np.flatnonzero(known.open())
        if not len(rows):
            return None
        models = known.pool.models[rows]
        burden = np.zeros(len(rows))
        for name in known.hardware_objectives:
            logs = np.log(known.hardware_of(name)[rows])
            burden += np.nan_to_num(logs)
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
        gain = expected_gain(self._boxes()[0], self._costs(forms), even, objective=known.quality_is_objective)
        gain = gain * self._probable()[forms]
        row = int(forms[int(np.argmax(gain))])
        return Ranked(row=row, by="start", seconds=float(known.seconds()[row]))

    def at_random(self, rng: random.Random) -> Ranked | None:
        """Any candidate that is not known to miss a limit on the device."""
        rows = np.flatnonzero(self.knowledge.open() & (self._probable() > LEAST_PROBABLE))
        if not len(rows):
            return None
        row = int(rows[rng.randrange(len(rows))])
        return Ranked(row=row, by="random", seconds=float(self.knowledge.seconds()[row]))

    def asked_for(self, candidate: Candidate, by: str) -> Ranked | None:
        """A candidate that somebody else proposes; None where it is known, or known to miss a limit."""
        row = self.knowledge.pool.row.get(candidate)
        if row is None or not self.knowledge.open()[row] or self._probable()[row] <= LEAST_PROBABLE:
            return None
        return Ranked(row=row, by=by, seconds=float(self.knowledge.seconds()[row]))

    def best(self) -> Ranked | None:
        """The candidate with the largest expected gain per expected second; None where none has any."""
        ranking = self._ranked()
        if not len(ranking.rows):
            return None
        middle, spread = ranking.means[0], ranking.deviations[0]
        return Ranked(
            row=int(ranking.rows[0]),
            by="gain",
            quality=(
                float(self._top - np.exp(middle)),
                float(self._top - np.exp(middle + 1.96 * spread)),
                float(self._top - np.exp(middle - 1.96 * spread)),
            ),
            gain=float(ranking.gain[0] / ranking.volume) if ranking.volume > 0 else None,
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
        return self._trust

    def _ranked(self) -> _Ranking:
        if self._ranking is None:
            self._ranking = self._rank()
        return self._ranking

    def _rank(self) -> _Ranking:
        known = self.knowledge
        boxes, volume = self._boxes()
        probable, seconds = self._probable(), known.seconds()
        rows = np.flatnonzero(known.open() & (probable > LEAST_PROBABLE))
        self.nothing_left = not len(rows) and bool(known.baseline_points)
        inputs = known.inputs()
        if np.isfinite(known.best_goodness):
            self._fit(inputs)
        else:  # nothing was scored here, so nothing is expected of anything
            rows = rows[:0]
        if not len(rows):
            empty = np.empty(0)
            return _Ranking(
                rows=rows, gain=empty, rate=empty, seconds=empty, means=empty, deviations=empty, volume=volume
            )
        rough = self._gain(boxes, rows, self._surrogate.predict(inputs.take(rows), parts=1))
        rate = rough * probable[rows] / seconds[rows]
        rows = rows[np.argsort(-rate, kind="stable")[:SHORTLIST]]
        found = self._surrogate.predict(inputs.take(rows))
        gain = self._gain(boxes, rows, found) * probable[rows]
        order = np.argsort(-gain / seconds[rows], kind="stable")
        gain[order[:CLOSELY]] = self._bounded(boxes, rows[order[:CLOSELY]], found, order[:CLOSELY], probable)
        order = np.argsort(-gain / seconds[rows], kind="stable")
        order = order[gain[order] > 0]
        rows, gain = rows[order], gain[order]
        return _Ranking(
            rows=rows,
            gain=gain,
            rate=gain / seconds[rows],
            seconds=seconds[rows],
            means=found.mean[order],
            deviations=found.deviation[order] * self._factor[rows],
            volume=volume,
        )

    def _fit(self, inputs: Inputs) -> None:
        known = self.knowledge
        rows = np.array(sorted(known.observed, key=lambda r: -known.observed[r][0]), dtype=np.int64)
        if len(rows) > MOST_KNOWN:  # the best half, and a spread of the others
            rest = rows[MOST_KNOWN // 2 :]
            picked = np.linspace(0, len(rest) - 1, MOST_KNOWN - MOST_KNOWN // 2).astype(int)
            rows = np.concatenate([rows[: MOST_KNOWN // 2], rest[picked]])
        values = np.array([known.observed[int(row)][0] for row in rows])
        noise = np.array([known.observed[int(row)][1] for row in rows])
        corner, best = self._corner_goodness(), known.best_goodness
        reach = best - corner
        values = np.maximum(values, corner - CLIPPED * reach)
        self._top = best + HEADROOM * reach
        distances = np.log(np.maximum(self._top - values, 1e-3 * reach))
        self._surrogate.fit(inputs.take(rows), distances, noise, spread=LEAST_SPREAD)
        chance, self._factor = self._surrogate.nearby(inputs)
        self._chance = self._usefulness(rows, values >= corner) * chance
        if len(rows) >= TRUST_FROM:
            predicted, found = self._surrogate.left_out()
            constant = (found.sum() - found) / (len(found) - 1)
            errors = ((predicted - found) ** 2).mean(), ((constant - found) ** 2).mean()
            self._trust = bool(errors[0] <= DISTRUST * errors[1])

    def _usefulness(self, rows: NDArray[np.int64], works: Flags) -> Floats:
        """[pool] probability that a candidate is of any use, by its size."""
        sizes = self.knowledge.sizes()
        return (
            np.ones(len(self.knowledge.pool)) if sizes is None else chance_to_work(sizes[rows], works, sizes)
        )

    def _gain(self, boxes: Boxes, rows: NDArray[np.int64], found: Prediction) -> Floats:
        costs, total = self._costs(rows), np.zeros(len(rows))
        for mean, deviation, weight in zip(found.means, found.deviations, found.weights, strict=True):
            quality = Quality(
                mean=mean,
                deviation=deviation * self._factor[rows],
                top=self._top,
                chance=self._chance[rows],
                ceiling=self._ceiling,
                least=self._least(),
            )
            total += weight * expected_gain(
                boxes, costs, quality, objective=self.knowledge.quality_is_objective
            )
        return total

    def _bounded(
        self,
        boxes: Boxes,
        rows: NDArray[np.int64],
        found: Prediction,
        places: NDArray[np.int64],
        probable: Floats,
    ) -> Floats:
        """The gain of a few rows, with no quality above what their less compressed relatives allow."""
        known = self.knowledge
        macs = known.hardware_of("macs")[rows]
        asked = [
            known.facts.ceiling(self.candidate(int(row)), None if np.isnan(m) else float(m))
            for row, m in zip(rows, macs, strict=True)
        ]
        ceiling = np.array([np.inf if value is None else known.sign * value for value in asked])
        ceiling = np.minimum(ceiling, self._ceiling)
        costs, total = self._costs(rows), np.zeros(len(rows))
        for mean, deviation, weight in zip(found.means, found.deviations, found.weights, strict=True):
            quality = Quality(
                mean=mean[places],
                deviation=deviation[places] * self._factor[rows],
                top=self._top,
                chance=self._chance[rows],
                ceiling=ceiling,
                least=self._least(),
            )
            total += weight * expected_gain(boxes, costs, quality, objective=known.quality_is_objective)
        return total * probable[rows]

    # -- the hypervolume -----------------------------------------------------------------------------

    @property
    def _ceiling(self) -> float:
        if not self._share:
            return np.inf
        return 1.0 if self.knowledge.sign > 0 else 0.0

    def _least(self) -> float:
        """The goodness that limits on the quality ask for."""
        known = self.knowledge
        bounds = [known.sign * limit.bound for limit in self._quality_limits()]
        return max(bounds, default=-np.inf)

    def _quality_limits(self) -> list[Limit]:
        lower = self.knowledge.sign > 0
        return [
            limit
            for limit in self.knowledge.facts.limits
            if limit.metric == self.knowledge.quality and limit.upper != lower
        ]

    def _corner_goodness(self) -> float:
        """The goodness from which on a candidate is worth something."""
        known = self.knowledge
        if known.quality in self._reference:
            return known.sign * self._reference[known.quality]
        best = known.best_goodness if np.isfinite(known.best_goodness) else 1.0
        least = self._least()
        if np.isfinite(least):
            return least - max(best - least, 0.01 if self._share else 0.01 * abs(least), 1e-9)
        return best - (WORST if self._share else max(WORST * abs(best), 1e-9))

    def _corner(self) -> Floats:
        """Worst values of the objectives: the stated ones, else limits, else the baselines' worst."""
        known = self.knowledge
        ends = [-self._corner_goodness()] if known.quality_is_objective else []
        for name in known.hardware_objectives:
            limits = [limit.bound for limit in known.facts.limits if limit.metric == name and limit.upper]
            worst = [point[name] for point in known.baseline_points if name in point]
            seen = [float(np.fmax.reduce(known.hardware_of(name)))]  # NaN where nothing was measured
            ends.append(self._reference.get(name, min(limits, default=max(worst or seen))))
        return np.array(ends)

    def _boxes(self) -> tuple[Boxes, float]:
        """The space not dominated yet, and the volume of what is."""
        corner = self._corner()
        points = np.array(list(self.knowledge.points.values())).reshape(-1, len(corner))
        boxes = undominated(points, corner)
        inside = points[(points < corner).all(axis=1)]
        if not len(inside):
            return boxes, 0.0
        ideal = inside.min(axis=0)
        free = np.maximum(boxes.upper - np.maximum(boxes.lower, ideal), 0.0).prod(axis=1).sum()
        return boxes, float((corner - ideal).prod() - free)

    def _costs(self, rows: NDArray[np.int64]) -> Floats:
        known = self.knowledge
        columns = [known.hardware_of(name)[rows] for name in known.hardware_objectives]
        return np.stack(columns, axis=1) if columns else np.zeros((len(rows), 0))

    def _probable(self) -> Floats:
        """[rows] probability that the limits on the device are met."""
        from scipy.special import ndtr

        known = self.knowledge
        found = np.ones(len(known.pool))
        for limit in known.facts.limits:
            if limit.metric == known.quality or limit.metric not in known.hardware.metrics:
                continue
            column = known.hardware.metrics.index(limit.metric)
            values = known.hardware_of(limit.metric)
            sure = ~np.isnan(known.hardware.known[known.pool.classes, column])
            gap = np.log(max(limit.bound, 1e-300)) - np.log(values)
            gap = gap if limit.upper else -gap
            chance = np.where(sure, gap >= 0, ndtr(gap / max(known.hardware.errors[column], 1e-6)))
            found *= np.where(np.isnan(values), 1.0, chance)
        return found
