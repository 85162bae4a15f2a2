"""What the sampler knows after each kind of trial and measurement."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import (
    Bound,
    Evaluation,
    Limit,
    Objective,
    Outcome,
    Quantity,
    StageRecord,
)
from paretune.search.record.protocols import Hardware, Training
from paretune.search.record.quality import QualityScale
from paretune.search.record.untrained import UNTOLD, Untrained
from paretune.search.sampler.knowledge import Knowledge
from paretune.search.sampler.problem import EarlierQuality, SearchProblem
from paretune.search.space.space import BackendChoices, Space

SPACE = Space(
    backends=(
        BackendChoices(
            name="ort",
            precisions=(Precision.FP32, Precision.INT8),
            calibration_methods=("minmax", "entropy"),
            sparsities=("dense", "channel:0.5"),
        ),
    ),
    student_axes={"width": (1, 2, 3, 4), "kind": ("a", "b")},
    temperatures=(4.0,),
    weights=(0.7,),
    calibration_samples=(32,),
    per_channel=(True,),
    recipe=Recipe(epochs=3, finetune_epochs=1),
)
OBJECTIVES = (
    Objective(metric="accuracy", higher_is_better=True),
    Objective(metric="latency_ms", higher_is_better=False),
)
GOOD = Limit(text="accuracy >= 80 %", metric="accuracy", upper=False, bound=0.8)
SMALL = Limit(text="size <= 1 MB", metric="size_bytes", upper=True, bound=1e6)


@dataclass
class Keys:
    """Trainings by name, the dense student before the pruned one."""

    limits: tuple[Limit, ...] = ()
    done: dict[str, float] = field(default_factory=dict)

    def doubtful(self, candidate: Candidate) -> bool:
        return False

    def trains(self, candidate: Candidate) -> bool:
        return not candidate.is_teacher

    def untrained(self, candidate: Candidate) -> Untrained:
        return UNTOLD

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        found = [self._training(f"dense {candidate.student}", "distill")] if candidate.student else []
        if candidate.sparsity != "dense":
            found.append(self._training(f"pruned {candidate.student}", "prune"))
        return tuple(found)

    def _training(self, key: str, kind: str) -> Training:
        done = key in self.done
        return Training(
            key=key, kind=kind, done=done, quality=self.done.get(key), seconds=7.0 if done else None
        )

    def ceiling(self, candidate: Candidate, macs: float | None) -> float | None:
        return None


def known(facts: Keys | None = None, **changes) -> Knowledge:
    problem = SearchProblem(space=SPACE, objectives=OBJECTIVES, scale=QualityScale.of("accuracy"))
    return Knowledge(replace(problem, **changes), facts or Keys(), seed=0)


def candidate(width: int = 2, precision: str = "fp32", sparsity: str = "dense", method: str = "minmax"):
    return next(
        c
        for c in SPACE.candidates()
        if c.student == (("kind", "a"), ("width", width))
        and str(c.precision) == precision
        and c.sparsity == sparsity
        and c.calibration_method == (method if precision == "int8" else "")
    )


def ended(which: Candidate, outcome: Outcome = Outcome.COMPLETE, trained: float = 10.0, **more) -> Evaluation:
    names = [("distill", f"dense {which.student}")]
    if which.sparsity != "dense":
        names.append(("prune", f"pruned {which.student}"))
    stages = [StageRecord(name=n, key=k, cached=False, seconds=trained) for n, k in names]
    stages.append(StageRecord(name="measure", key="m", cached=False, seconds=1.0))
    values = {"accuracy": 0.9, "latency_ms": 2.0, "size_bytes": 5e5, **more.pop("values", {})}
    metrics = {name: Quantity(value=value) for name, value in values.items()}
    if outcome is Outcome.COMPLETE:
        more = {"metrics": metrics, **more}
    return Evaluation(candidate=which, outcome=outcome, stages=tuple(stages), **more)


def row_of(knowledge: Knowledge, which: Candidate) -> int:
    return knowledge.pool.row[which]


def test_a_complete_trial_is_an_observation_a_point_and_a_finished_training():
    knowledge = known()
    which = candidate()
    before = knowledge.seconds()[row_of(knowledge, which)]
    knowledge.learn(ended(which))
    row = row_of(knowledge, which)
    assert knowledge.observed[row][0] == knowledge.best_goodness == 0.9
    assert knowledge.points == {row: (-0.9, 2.0)}
    assert knowledge.hardware_of("latency_ms")[row] == 2.0
    assert not knowledge.open()[row]
    assert len(knowledge.scored) == 1
    assert knowledge.costs.typical_training == 10.0
    sibling = row_of(knowledge, candidate(precision="int8"))
    assert knowledge.model_seconds()[knowledge.pool.models[sibling]] == 0.0
    assert 0 < knowledge.seconds()[sibling] < before
    pruned = row_of(knowledge, candidate(sparsity="channel:0.5"))
    other = row_of(knowledge, candidate(width=3, sparsity="channel:0.5"))
    assert 0 < knowledge.seconds()[pruned] < knowledge.seconds()[other]


def test_a_measurement_holds_for_its_class_and_a_refusal_closes_it():
    knowledge = known()
    quick = Hardware(metrics={"latency_ms": Quantity(value=1.5), "unknown": Quantity(value=1.0)})
    knowledge.learn_hardware(candidate(precision="int8"), quick)
    others = [candidate(precision="int8", method=m) for m in ("minmax", "entropy")]
    assert [knowledge.hardware_of("latency_ms")[row_of(knowledge, c)] for c in others] == [1.5, 1.5]
    assert all(knowledge.open()[row_of(knowledge, c)] for c in others)
    knowledge.learn_hardware(others[0], Hardware(refused="no such kernel"))
    assert not any(knowledge.open()[row_of(knowledge, c)] for c in others)
    assert knowledge.open()[row_of(knowledge, candidate())]


def test_gated_and_refused_and_failed_trials_are_closed_and_no_points():
    knowledge = known()
    gate = {"latency_ms": Quantity(value=9.0)}
    knowledge.learn(Evaluation(candidate=candidate(1), outcome=Outcome.GATED, gate=gate, reason="too slow"))
    knowledge.learn(Evaluation(candidate=candidate(2, "int8"), outcome=Outcome.REFUSED, reason="no kernel"))
    knowledge.learn(Evaluation(candidate=candidate(3), outcome=Outcome.FAILED, stage="compile", cause="x"))
    closed = [candidate(1), candidate(2, "int8"), candidate(2, "int8", method="entropy"), candidate(3)]
    assert knowledge.open().sum() == len(knowledge.pool) - len(closed)
    assert not any(knowledge.open()[row_of(knowledge, c)] for c in closed)
    assert knowledge.hardware_of("latency_ms")[row_of(knowledge, candidate(1))] == 9.0
    assert (knowledge.points, knowledge.observed, knowledge.scored) == ({}, {}, set())
    # A failure after the training leaves the training.
    knowledge.learn(ended(candidate(4), Outcome.FAILED))
    assert knowledge.model_seconds()[knowledge.pool.models[row_of(knowledge, candidate(4))]] == 0


def test_a_training_that_was_given_up_closes_all_that_need_it_and_its_bound_is_a_weak_observation():
    knowledge = known()
    which = candidate()
    bound = Bound(value=0.7, basis="its curve")
    knowledge.learn(ended(which, Outcome.GATED, stopped_epoch=1, bound=bound))
    closed = [c for c in SPACE.candidates() if c.student == which.student]
    assert not any(knowledge.open()[row_of(knowledge, c)] for c in closed)
    assert knowledge.open().sum() == len(knowledge.pool) - len(closed)
    value, noise = knowledge.observed[row_of(knowledge, which)]
    assert value == 0.7
    assert noise > 1
    assert len(knowledge.scored) == 0
    assert knowledge.costs.typical_training == 0.0, "it was cut short"


def test_a_point_that_misses_a_limit_is_on_no_front():
    knowledge = known(Keys(limits=(GOOD, SMALL)))
    knowledge.learn(
        ended(candidate(1), values={"accuracy": 0.7}, violations={GOOD.text: 0.1, SMALL.text: -1.0})
    )
    knowledge.learn(ended(candidate(2), violations={GOOD.text: -0.1, SMALL.text: -1.0}))
    assert list(knowledge.points) == [row_of(knowledge, candidate(2))]
    assert len(knowledge.scored) == 2
    assert knowledge.hardware_of("size_bytes")[row_of(knowledge, candidate(1))] == 5e5


def test_the_front_holds_what_no_other_point_dominates():
    knowledge = known()

    def told(number: int, accuracy: float, latency: float) -> np.ndarray:
        values = {"accuracy": accuracy, "latency_ms": latency}
        knowledge.learn(ended(candidate(number), values=values))
        return knowledge.front

    told(1, 0.8, 2.0)
    first = told(2, 0.9, 3.0)
    assert sorted(first.tolist()) == [[-0.9, 3.0], [-0.8, 2.0]]
    assert told(3, 0.7, 2.5) is first, "dominated: nothing changes"
    assert sorted(told(4, 0.9, 1.0).tolist()) == [[-0.9, 1.0]]
    assert knowledge.rewritten == 0
    # The same candidate with other values: what it stood before may come back.
    assert sorted(told(4, 0.7, 1.0).tolist()) == [[-0.9, 3.0], [-0.8, 2.0], [-0.7, 1.0]]
    assert knowledge.rewritten == 1


def test_a_loss_is_turned_so_that_more_is_better():
    objectives = (Objective(metric="loss", higher_is_better=False), OBJECTIVES[1])
    knowledge = known(objectives=objectives, scale=QualityScale.of("loss", higher_is_better=False))
    knowledge.learn(ended(candidate(1), values={"loss": 0.4}))
    knowledge.learn(ended(candidate(2), values={"loss": 0.3}))
    assert knowledge.best_goodness == -0.3
    assert knowledge.points[row_of(knowledge, candidate(1))] == (0.4, 2.0)


def test_a_quality_that_is_no_objective_is_no_axis():
    objectives = (OBJECTIVES[1], Objective(metric="size_bytes", higher_is_better=False))
    knowledge = known(objectives=objectives)
    knowledge.learn(ended(candidate(1)))
    assert list(knowledge.points.values()) == [(2.0, 5e5)]
    assert knowledge.best_goodness == 0.9


def test_what_the_store_has_is_known_from_the_start():
    student = candidate().student
    facts = Keys(done={f"dense {student}": 0.88, f"dense {candidate(3).student}": 0.91})
    knowledge = known(facts)
    observed = {knowledge.pool.candidates[row]: found for row, found in knowledge.observed.items()}
    # Quality before quantization, so it stands at the model's widest number format; and it is no point.
    assert {c: v for c, (v, _) in observed.items()} == {candidate(): 0.88, candidate(3): 0.91}
    assert all(noise > 1 for _, noise in observed.values())
    assert knowledge.points == {}
    assert len(knowledge.scored) == 0
    assert knowledge.costs.typical_training == 7.0
    assert knowledge.model_seconds()[knowledge.pool.models[row_of(knowledge, candidate())]] == 0.0
    assert knowledge.open()[row_of(knowledge, candidate())]
    knowledge.learn(ended(candidate(), values={"accuracy": 0.86}))
    assert knowledge.observed[row_of(knowledge, candidate())][0] == 0.86


def test_earlier_studies_inform_and_are_not_proposed_where_the_space_lacks_them():
    stranger = replace(candidate(), precision=Precision.FP16)
    earlier = tuple(EarlierQuality(candidate=c, quality=0.8, noise=2.0) for c in (stranger, candidate(3)))
    knowledge = known(earlier=earlier)
    assert len(knowledge.pool) == SPACE.size + 1
    assert not knowledge.open()[row_of(knowledge, stranger)]
    assert knowledge.open().sum() == SPACE.size
    assert knowledge.observed[row_of(knowledge, candidate(3))] == (0.8, 2.0)
    assert len(knowledge.scored) == 0


def test_candidates_of_no_space_are_passed_over():
    knowledge = known()
    stranger = replace(candidate(), backend="tflite")
    knowledge.learn(ended(stranger))
    knowledge.learn_hardware(stranger, Hardware(refused="no"))
    assert knowledge.open().all()
    assert knowledge.observed == {}


@pytest.mark.parametrize("told", ["macs", "parameters", "latency_ms"])
def test_the_size_of_a_model_is_what_is_known_of_it(told):
    knowledge = known()
    assert knowledge.sizes() is None
    bare = len(knowledge.inputs().groups)
    for width in (1, 2, 3, 4):
        hardware = Hardware(metrics={told: Quantity(value=100.0 * width)})
        knowledge.learn_hardware(candidate(width), hardware)
    sizes = knowledge.sizes()
    assert sizes is not None
    rows = [row_of(knowledge, candidate(width)) for width in (1, 2, 3, 4)]
    assert sizes[rows] == pytest.approx(np.log([100.0, 200.0, 300.0, 400.0]))
    inputs = knowledge.inputs()
    assert len(inputs) == len(knowledge.pool)
    assert len(inputs.groups) == bare + 1
    assert np.isfinite(inputs.groups[-1]).all()


@pytest.mark.parametrize("outcome", [Outcome.COMPLETE, Outcome.GATED])
def test_what_an_untrained_network_told_is_known_by_measurement_and_from_an_earlier_session(outcome):
    told, which = Untrained(proxies={"nwot": 3.0}), candidate()
    measured, resumed = known(), known()
    measured.learn_hardware(which, Hardware(untrained=told))
    resumed.learn(ended(which, outcome, untrained=told))
    model = int(measured.pool.models[row_of(measured, which)])
    assert measured.networks[model] == resumed.networks[model] == told


def test_what_would_not_end_in_time_is_open_no_more_once_trainings_were_seen():
    left = [1e9]
    problem = SearchProblem(space=SPACE, objectives=OBJECTIVES, scale=QualityScale.of("accuracy"))
    knowledge = Knowledge(problem, Keys(), seed=0, seconds_left=lambda: left[0])
    which, other = candidate(), candidate(width=3)
    left[0] = 1.0
    assert knowledge.open()[row_of(knowledge, other)]  # a guess is no reason
    knowledge.learn(ended(which, trained=10.0))
    assert not knowledge.open()[row_of(knowledge, other)]
    assert knowledge.open()[row_of(knowledge, candidate(precision="int8"))]  # trained already
    left[0] = 100.0
    assert knowledge.open()[row_of(knowledge, other)]
