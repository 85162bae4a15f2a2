"""What has to be tuned is dear: never measured in advance nor drawn, proposed where it is worth it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import Evaluation, Objective, Outcome, Quantity, StageRecord
from paretune.search.record.protocols import Hardware, Training
from paretune.search.record.quality import QualityScale
from paretune.search.record.untrained import UNTOLD, Untrained
from paretune.search.sampler.costs import Costs
from paretune.search.sampler.knowledge import Knowledge
from paretune.search.sampler.policy import Policy
from paretune.search.sampler.problem import SearchProblem
from paretune.search.space.space import BackendChoices, Space

QUICK, SLOW = "quick", "slow"
MOST = 600.0


def space(*backends: str) -> Space:
    offered = tuple(
        BackendChoices(name=name, precisions=(Precision.FP32,), calibration_methods=(), sparsities=("dense",))
        for name in backends
    )
    return Space(
        backends=offered,
        student_axes={"width": tuple(range(1, 20))},
        temperatures=(4.0,),
        weights=(0.7,),
        calibration_samples=(32,),
        per_channel=(True,),
        recipe=Recipe(epochs=3),
    )


@dataclass
class Facts:
    """Students need a training; `worth` are widths that are worth tuning."""

    worth: set[object] = field(default_factory=set)
    limits: tuple[()] = ()

    def doubtful(self, candidate: Candidate) -> bool:
        return False

    def trains(self, candidate: Candidate) -> bool:
        return not candidate.is_teacher

    def untrained(self, candidate: Candidate) -> Untrained:
        return UNTOLD

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        return (Training(key=str(candidate.student), kind="distill"),) if candidate.student else ()

    def worth_tuning(self, candidate: Candidate) -> bool:
        return dict(candidate.student).get("width", 0) in self.worth

    def ceiling(self, candidate: Candidate, macs: float | None) -> float | None:
        return None


def policy(facts: Facts, *backends: str) -> Policy:
    problem = SearchProblem(
        space=space(*(backends or (QUICK, SLOW))),
        objectives=tuple(
            Objective(metric=name, higher_is_better=name == "accuracy") for name in ("accuracy", "latency_ms")
        ),
        scale=QualityScale.of("accuracy"),
        tuning={SLOW: MOST},
    )
    return Policy(Knowledge(problem, facts, seed=0), seed=0)


def complete(candidate: Candidate, width: float, **stages: float) -> Evaluation:
    seconds = {"distill": 2.0, "measure": 1.0, **stages}
    values = {"accuracy": 0.5 + width / 50, "latency_ms": 1.0 + width}
    return Evaluation(
        candidate=candidate,
        outcome=Outcome.COMPLETE,
        metrics={name: Quantity(value=value) for name, value in values.items()},
        stages=tuple(StageRecord(name=n, key=n, cached=False, seconds=s) for n, s in seconds.items()),
        baseline=candidate.is_teacher,
    )


def of(found: Policy, backend: str, width: int = 0) -> Candidate:
    return next(
        c
        for c in found.knowledge.pool.candidates
        if c.backend == backend and dict(c.student).get("width", 0) == width
    )


def test_it_is_open_where_it_is_worth_it_and_costs_its_tuning():
    facts = Facts()
    found = policy(facts)
    knowledge, (slow, quick) = found.knowledge, (of(found, SLOW, 3), of(found, QUICK, 3))
    row, other = knowledge.pool.row[slow], knowledge.pool.row[quick]
    assert not knowledge.open()[row]
    facts.worth.add(3)
    found.learn(complete(of(found, QUICK), 20))
    assert knowledge.open()[row]
    assert knowledge.seconds()[row] - knowledge.seconds()[other] > MOST - 10
    found.learn(complete(of(found, SLOW), 20, tune=40.0))
    assert knowledge.seconds()[row] - knowledge.seconds()[other] < 60
    assert knowledge.costs.device < 10
    facts.worth.clear()
    knowledge.learn_hardware(slow, Hardware(metrics={"latency_ms": Quantity(value=1.0)}))
    found.learn(complete(of(found, QUICK, 5), 5))
    assert knowledge.open()[row]  # it is tuned: what follows costs as much as elsewhere


def test_neither_the_survey_nor_chance_tunes_anything():
    found = policy(Facts(worth=set(range(20))))
    found.learn(complete(of(found, QUICK), 20, distill=20.0))
    wanted = []
    while (candidate := found.wants()) is not None and len(wanted) < 50:
        wanted.append(candidate)
        found.learn_hardware(candidate, Hardware(metrics={"latency_ms": Quantity(value=1.0)}), 1.0)
    assert wanted
    drawn = [found.at_random(random.Random(seed)).row for seed in range(50)]
    backends = {candidate.backend for candidate in [*wanted, *map(found.candidate, drawn)]}
    assert backends == {QUICK}
    assert found.knowledge.costs.measurement == 1.0


def test_where_nothing_else_is_left_it_is_drawn_and_proposed():
    found = policy(Facts(worth=set(range(20))), SLOW)
    found.learn(complete(of(found, SLOW), 20, tune=30.0))
    assert found.wants() is None
    assert found.at_random(random.Random(0)) is not None
    for width in (2, 9, 17):
        found.learn(complete(of(found, SLOW, width), width, tune=30.0))
    assert found.best() is not None


@pytest.mark.parametrize(("seen", "expected"), [((), MOST), ((10.0, 30.0, 20.0), 20.0), ((900.0,), MOST)])
def test_a_tuning_is_expected_to_take_what_others_took_and_never_longer_than_it_may(seen, expected):
    costs = Costs()
    for number, seconds in enumerate(seen):
        costs.learn_device(complete(Candidate(backend=SLOW, precision=Precision.FP32), number, tune=seconds))
    assert costs.tuning(MOST) == expected
    assert np.isclose(costs.device, 1.0 if seen else costs.device)


def test_with_many_workers_none_waits_until_what_is_tuned_has_told_something():
    found = policy(Facts(worth=set(range(20))))
    found.learn(complete(of(found, QUICK), 20))
    unheard = found.knowledge.flight.unheard
    found.begin(of(found, SLOW, 3))
    assert unheard({"distill"}) == 0
    found.begin(of(found, QUICK, 4))
    assert unheard({"distill"}) == 1
