"""What the device should give much of (throughput) steers a search as what it should take little of does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import Evaluation, Limit, Objective, Outcome, Quantity
from paretune.search.record.protocols import Hardware, Training
from paretune.search.record.quality import QualityScale
from paretune.search.record.untrained import UNTOLD, Untrained
from paretune.search.sampler.knowledge import Knowledge
from paretune.search.sampler.problem import SearchProblem
from paretune.search.sampler.sought import Goal
from paretune.search.space.space import BackendChoices, Space
from paretune.search.surrogates.hardware_model import HardwareModel

THROUGHPUT = "throughput_per_s"
OBJECTIVES = (
    Objective(metric="accuracy", higher_is_better=True),
    Objective(metric=THROUGHPUT, higher_is_better=True),
)
ENOUGH = Limit(text="throughput >= 50 /s", metric=THROUGHPUT, upper=False, bound=50.0)


SPACE = Space(
    backends=(
        BackendChoices(
            name="ort",
            precisions=(Precision.FP32, Precision.INT8),
            calibration_methods=("minmax",),
            sparsities=("dense",),
        ),
    ),
    student_axes={"width": (1, 2, 3, 4)},
    temperatures=(4.0,),
    weights=(0.7,),
    calibration_samples=(32,),
    per_channel=(True,),
    recipe=Recipe(epochs=3, finetune_epochs=1),
)


@dataclass
class Facts:
    """Every student is a training of its own."""

    limits: tuple[Limit, ...] = ()

    def doubtful(self, candidate: Candidate) -> bool:
        return False

    def trains(self, candidate: Candidate) -> bool:
        return not candidate.is_teacher

    def untrained(self, candidate: Candidate) -> Untrained:
        return UNTOLD

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        return (Training(key=f"{candidate.student}", kind="distill"),) if candidate.student else ()

    def ceiling(self, candidate: Candidate, macs: float | None) -> float | None:
        return None


def rate(candidate: Candidate) -> float:
    return 240.0 / float(dict(candidate.student).get("width", 6))


def known(limits: tuple[Limit, ...] = ()) -> Knowledge:
    problem = SearchProblem(space=SPACE, objectives=OBJECTIVES, scale=QualityScale.of("accuracy"))
    return Knowledge(problem, Facts(limits), 0)


def told(knowledge: Knowledge, candidate: Candidate, accuracy: float, *, baseline: bool = False) -> None:
    metrics = {"accuracy": Quantity(value=accuracy), THROUGHPUT: Quantity(value=rate(candidate))}
    outcome = Outcome.COMPLETE
    knowledge.learn(Evaluation(candidate=candidate, outcome=outcome, metrics=metrics, baseline=baseline))


def students() -> list[Candidate]:
    return sorted((c for c in SPACE.candidates() if c.student), key=rate)


def test_the_front_keeps_the_higher_of_two_and_the_gain_is_for_more() -> None:
    knowledge = known()
    slow, *_, fast = students()
    told(knowledge, SPACE.baselines()[0], 0.95, baseline=True)
    told(knowledge, slow, 0.9)
    told(knowledge, fast, 0.9)
    assert sorted(knowledge.front.tolist()) == [[-0.95, -40.0], [-0.9, -240.0]]
    goal = Goal(knowledge)
    boxes, volume = goal.boxes()
    assert boxes.upper[:, 1].max() == -40.0  # what the uncompressed teacher has
    assert volume > 0


def test_limits_from_below_are_the_corner_and_what_misses_them_is_not_sought() -> None:
    knowledge = known((ENOUGH,))
    for candidate in SPACE.candidates():
        knowledge.learn_hardware(candidate, Hardware(metrics={THROUGHPUT: Quantity(value=rate(candidate))}))
    goal = Goal(knowledge)
    told(knowledge, SPACE.baselines()[0], 0.95, baseline=True)
    assert goal.boxes()[0].upper[:, 1].max() == -50.0
    rates = np.array([rate(c) for c in knowledge.pool.candidates])
    assert np.array_equal(goal.probable() > 0.5, rates >= 50)


def test_the_best_that_may_come_of_a_training_is_the_most() -> None:
    knowledge = known()
    for candidate in SPACE.candidates():
        value = rate(candidate) * (2 if candidate.precision is Precision.INT8 else 1)
        knowledge.learn_hardware(candidate, Hardware(metrics={THROUGHPUT: Quantity(value=value)}))
    slow = students()[0]
    assert knowledge.best_hardware(slow) == {THROUGHPUT: 2 * rate(slow)}


def test_nothing_has_no_logarithm_and_breaks_no_prediction() -> None:
    features = np.eye(12)
    model = HardwareModel(features, 1, np.zeros((12, 0)), (THROUGHPUT,))
    for row, value in enumerate([0.0, 0.0, 100.0, 200.0, 400.0, 50.0, 0.0, 80.0]):
        model.learn(row, {THROUGHPUT: value})
    assert model.values[0, 0] == pytest.approx(0.0, abs=1e-9)
    assert (model.values[8:, 0] > 1.0).all()
    assert np.isfinite(model.errors).all()
