"""What a search knows at a moment, as arrays over the pool: hardware, quality, trainings, the front."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..record.arrays import Flags, Floats
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Outcome
from ..record.metrics import METRICS, SIDE_EFFECTS
from ..record.protocols import Hardware
from ..record.untrained import Untrained
from ..surrogates.hardware_model import HardwareModel
from ..surrogates.hypervolume_gain import with_point
from ..surrogates.kernel import Inputs
from .costs import Costs, PendingTrainings
from .in_flight import InFlight
from .model_inputs import CAPACITY, ModelInputs
from .pool import Pool, choice_counts, deploy_axes, model_axes, one_hot
from .problem import CandidateFacts, SearchProblem, endless
from .told_networks import ToldNetworks
from .unfinished import UnfinishedTrainings

OWN, FLOAT, STOPPED = 1.0, 2.0, 6.0
"""Extra variance of an observation: scored here; known before quantization alone; a bound of a training that
was given up."""


class Knowledge:
    """Grows with every trial and measurement. Goodness is the quality, negated where lower is better."""

    def __init__(
        self,
        problem: SearchProblem,
        facts: CandidateFacts,
        seed: int,
        seconds_left: Callable[[], float] = endless,
    ) -> None:
        self.seconds_left, self._longest = seconds_left, np.inf
        named = [objective.metric for objective in problem.objectives]
        self.problem, self.facts, self.costs = problem, facts, Costs()
        self.scale, self.quality = problem.scale, problem.scale.metric
        self.quality_is_objective = self.quality in named
        self.hardware_objectives = tuple(name for name in named if name != self.quality)
        self._turned = {one.metric for one in problem.objectives if one.higher_is_better}
        self.pool = Pool(problem.space, seed, extra=[found.candidate for found in problem.earlier])
        # Candidates that only an earlier study had inform the models and are never proposed.
        self.known = ~self.pool.own
        self.hardware = self._hardware_model()
        to_tune = [problem.tuning.get(c.backend, 0.0) for c in self.pool.class_candidates]
        self._most_tuning = np.array(to_tune)
        self._worth_tuning: Flags | None = None
        self.trainings = PendingTrainings([facts.trainings(c) for c in self.pool.model_candidates])
        self.flight = InFlight(self.pool, self.trainings)
        self.unfinished = UnfinishedTrainings(self.scale, self.trainings, self.costs)
        self.observed: dict[int, tuple[float, float]] = {}
        self.scored: set[int] = set()
        """Models whose quality was scored here."""
        self.rewritten = 0
        """How often another value took the place of an observed one."""
        self.points: dict[int, tuple[float, ...]] = {}
        self.front = np.empty((0, self.quality_is_objective + len(self.hardware_objectives)))
        """Of `points`, those that no other dominates; the same array as long as nothing changes."""
        self.baseline_points: list[Mapping[str, float]] = []
        self.best_goodness = -np.inf
        told = [facts.untrained(candidate) for candidate in self.pool.model_candidates]
        self.networks = ToldNetworks(told, problem.without)
        self._inputs = ModelInputs(self.pool, self.hardware, self.networks, seed)
        self._learn_what_is_done()
        for found in problem.earlier:
            self.observed[self.pool.row[found.candidate]] = (self.scale.goodness(found.quality), found.noise)

    def _hardware_model(self) -> HardwareModel:
        classes = self.pool.class_candidates
        features, axes = one_hot([{**model_axes(c), **deploy_axes(c)} for c in classes])
        limited = [limit.metric for limit in self.facts.limits]
        wanted = [*self.hardware_objectives, *limited, *CAPACITY]
        decided_by_training = {self.quality, *SIDE_EFFECTS}
        metrics = [m for m in dict.fromkeys(wanted) if m in METRICS and m not in decided_by_training]
        return HardwareModel(features, axes, choice_counts(classes), metrics)

    def _learn_what_is_done(self) -> None:
        """Models that are in the store already: their quality before quantization, and what they cost."""
        rows: dict[int, int] = {}
        for row, model in enumerate(map(int, self.pool.models)):
            bits = self.pool.candidates[row].precision.decoded.weight_bits
            held = rows.get(model)
            if held is None or bits > self.pool.candidates[held].precision.decoded.weight_bits:
                rows[model] = row
        for number, needed in enumerate(self.trainings.needed):
            for training in needed:
                if training.done and training.seconds:
                    self.costs.learn_training(training.kind, training.key, training.seconds, training.work)
            if needed and needed[-1].done and needed[-1].quality is not None:
                self.observed.setdefault(rows[number], (self.scale.goodness(needed[-1].quality), FLOAT))

    # -- learning ------------------------------------------------------------------------------------

    def learn_hardware(self, candidate: Candidate, hardware: Hardware) -> None:
        """Take in a measurement with untrained weights; it holds for the whole hardware class."""
        row = self.pool.row.get(candidate)
        if row is None:
            return
        group = int(self.pool.classes[row])
        if hardware.refused:
            self._refuse(group)
        else:
            self.hardware.learn(group, {name: q.value for name, q in hardware.metrics.items()})
            self._learn_untrained(row, hardware.untrained)

    def exclude(self, impossible: Callable[[Candidate], bool]) -> None:
        """Take it that candidates of these hardware classes cannot exist."""
        for group, candidate in enumerate(self.pool.class_candidates):
            if impossible(candidate):
                self._refuse(group)

    def _refuse(self, group: int) -> None:
        self.hardware.refuse(group)
        self.known |= self.pool.classes == group

    def learn(self, evaluation: Evaluation) -> None:
        """Take in a trial that has ended."""
        candidate, self._worth_tuning = evaluation.candidate, None
        row = self.pool.row.get(candidate)
        if row is None:
            return
        self.known[row] = not evaluation.paused
        self.rewritten += evaluation.paused  # its curve is another observation, or a longer one
        self._learn_untrained(row, evaluation.untrained)
        self.unfinished.learn(evaluation)
        group = int(self.pool.classes[row])
        if evaluation.outcome is Outcome.REFUSED:
            self._refuse(group)
        measured = evaluation.metrics if evaluation.outcome is Outcome.COMPLETE else evaluation.gate
        if measured:
            self.hardware.learn(group, {name: q.value for name, q in measured.items()})
        if evaluation.outcome is Outcome.COMPLETE and self.quality in evaluation.metrics:
            self._learn_complete(row, evaluation)
        elif evaluation.stopped_epoch and evaluation.bound is not None and not evaluation.paused:
            self.observed.setdefault(row, (self.scale.goodness(evaluation.bound.value), STOPPED))

    def _learn_untrained(self, row: int, untrained: Untrained) -> None:
        """It holds for all candidates of the model, whatever runs it."""
        self.networks.learn(int(self.pool.models[row]), untrained)

    def _learn_complete(self, row: int, evaluation: Evaluation) -> None:
        goodness = self.scale.goodness(evaluation.metrics[self.quality].value)
        self.rewritten += row in self.observed
        self.observed[row] = (goodness, OWN)
        self.scored.add(int(self.pool.models[row]))
        self.best_goodness = max(self.best_goodness, goodness)
        self.costs.learn_device(evaluation)
        self._judge_networks()
        values = {name: q.value for name, q in evaluation.metrics.items()}
        if evaluation.baseline:
            self.baseline_points.append(values)
        if evaluation.feasible and all(name in values for name in self.hardware_objectives):
            costs = tuple(float(self.as_cost(name, values[name])) for name in self.hardware_objectives)
            self._add_point(row, (-goodness, *costs) if self.quality_is_objective else costs)

    def _judge_networks(self) -> None:
        if not self.networks.told_enough:
            return
        best: dict[int, float] = {}
        for row, (goodness, noise) in self.observed.items():
            model = int(self.pool.models[row])
            if noise == OWN:
                best[model] = max(goodness, best.get(model, goodness))
        self.rewritten += self.networks.judge(best)

    def _add_point(self, row: int, point: tuple[float, ...]) -> None:
        anew = row in self.points
        self.points[row] = point
        if anew:  # what it stood for before may have kept others from the front
            self.front = self.front[:0]
        for other in self.points.values() if anew else (point,):
            self.front = with_point(self.front, np.array(other))

    # -- what follows --------------------------------------------------------------------------------

    def trained_classes(self) -> list[int]:
        """Hardware classes of models that need training, which student and sparsity decide, without those
        that have to be tuned first."""
        found, needs = [], dict[tuple[object, ...], bool]()
        for group, candidate in enumerate(self.pool.class_candidates):
            if self._most_tuning[group]:
                continue
            key = (candidate.student, candidate.sparsity)
            if key not in needs:
                needs[key] = self.facts.trains(candidate)
            if needs[key]:
                found.append(group)
        return found

    def best_hardware(self, candidate: Candidate) -> dict[str, float] | None:
        """The best of each hardware objective over all candidates that need a training of this one's.

        Predictions are taken at the good end of their error. None where weights may matter to one of them.
        """
        row = self.pool.row.get(candidate)
        if row is None:
            return None
        rows = np.flatnonzero(np.isin(self.pool.models, self.trainings.sharing(int(self.pool.models[row]))))
        can = rows[~self.hardware.refused[self.pool.classes[rows]]]
        if not len(can) or any(self.facts.doubtful(self.pool.candidates[int(row)]) for row in can):
            return None
        found = {}
        for name in self.hardware_objectives:
            column = self.hardware.metrics.index(name)
            values = self.hardware_of(name)[can]
            sure = ~np.isnan(self.hardware.known[self.pool.classes[can], column])
            good = self.as_cost(name, 2 * self.hardware.errors[column])  # an exponent: down, or up
            values = np.where(sure, values, values * np.exp(-good))
            if np.isnan(values).any():
                return None
            found[name] = float(self.as_cost(name, self.as_cost(name, values).min()))
        return found

    def open(self) -> Flags:
        """Those that are `left` and that nothing under way holds up."""
        return self.left() & ~self.flight.held()

    def left(self) -> Flags:
        """Rows that may still be proposed: not evaluated, can exist, training not given up and ends in time,
        worth tuning."""
        found: Flags = ~self.known & ~self.trainings.given_up[self.pool.models] & self.in_time()
        return found & self._tuned_or_worth_it() if self._most_tuning.any() else found

    def in_time(self) -> Flags:
        """[rows] whose training is expected to end in the time that is left, by trainings seen."""
        left = self.seconds_left()
        if not self.costs.typical_training or left >= self._longest:
            return np.ones(len(self.pool), dtype=bool)
        found: Flags = (self.model_seconds() <= left)[self.pool.models]
        return found

    def untuned(self) -> Flags:
        """[rows] that have to be tuned before anything can be measured of them."""
        found: Flags = ((self._most_tuning > 0) & ~self.hardware.measured)[self.pool.classes]
        return found

    def _tuned_or_worth_it(self) -> Flags:
        if self._worth_tuning is None:
            found = ~self.untuned()
            for row in np.flatnonzero(~found & ~self.known):
                found[row] = self.facts.worth_tuning(self.pool.candidates[row])
            self._worth_tuning = found
        return self._worth_tuning

    def hardware_of(self, metric: str) -> Floats:
        """[rows] of a hardware metric, measured or predicted."""
        column = self.hardware.metrics.index(metric)
        found: Floats = self.hardware.values[self.pool.classes, column]
        return found

    def as_cost(self, metric: str, values: Floats | Sequence[float] | float) -> Floats:
        """Values of a hardware objective turned so that less is better, or turned back."""
        found = np.asarray(values, dtype=float)
        return -found if metric in self._turned else found

    def seconds(self) -> Floats:
        """[rows] expected cost of evaluating a candidate next: what is not done yet."""
        of_model = self.model_seconds()[self.pool.models]
        measured = self.hardware.measured[self.pool.classes]
        measuring = np.where(measured | (of_model == 0), 0.0, self.costs.measurement)
        tuning = self.costs.tuning(float(self._most_tuning.max(initial=0.0)))
        found: Floats = of_model + self.costs.device + measuring + np.where(self.untuned(), tuning, 0.0)
        return found

    def model_seconds(self) -> Floats:
        """[models] expected seconds of the training that is still needed."""
        found = self.trainings.seconds(self.costs, self.hardware_of("macs")[self.pool.first_of_model])
        self._longest = float(found.max(initial=0.0))
        return found

    def inputs(self) -> Inputs:
        """The pool as the surrogate sees it."""
        return self._inputs.now(next(iter(self.hardware_objectives), ""))

    def consensus(self) -> Floats | None:
        """[models] how good untrained networks look by their proxies, as a mean of normal scores; None where
        too few were looked at, or where that misleads."""
        told = self._inputs.told().proxies if self.networks.looked_at else np.zeros((0, 0))
        return told.mean(axis=1) if told.shape[1] else None

    def measurements_for(self, trainings: float) -> float:
        """How many measurements take as long as so many trainings."""
        typical = self.costs.typical_training or float(np.median(self.model_seconds()))
        return trainings * typical / max(self.costs.measurement, 1e-6)

    def sizes(self) -> Floats | None:
        """[rows] logarithm of one measure of capacity; None where none is known."""
        for name in (*CAPACITY, *self.hardware_objectives):
            found = self.hardware_of(name)
            if not np.isnan(found).any():
                return np.log(found)
        return None
