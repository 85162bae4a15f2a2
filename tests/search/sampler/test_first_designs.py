"""What is trained before anything can be predicted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Quantity
from paretune.search.record.protocols import Hardware
from paretune.search.record.quality import QualityScale
from paretune.search.record.untrained import Untrained
from paretune.search.sampler.first_designs import MODELS_PER_START, START_TRAININGS, FirstDesigns
from paretune.search.sampler.knowledge import Knowledge
from paretune.search.sampler.problem import SearchPart, SearchProblem
from paretune.search.sampler.sought import Goal

from tests.search.sampler.test_knowledge import OBJECTIVES, SPACE, Keys, ended

LARGE = replace(SPACE, student_axes={"width": tuple(range(1, 17)), "kind": ("a", "b", "c", "d")})


class Looks(Keys):
    """Networks of kind c look best, and the wider the better within a kind."""

    def untrained(self, candidate: Candidate) -> Untrained:
        student = dict(candidate.student)
        if not student:
            return Untrained()
        return Untrained(proxies={"nwot": 100.0 * (student["kind"] == "c") + float(student["width"])})


def latency_of(candidate: Candidate) -> float:
    return float(dict(candidate.student).get("width", 20)) * (0.7 if candidate.sparsity != "dense" else 1.0)


def trained(candidate: Candidate, accuracy: float):
    return ended(candidate, values={"accuracy": accuracy, "latency_ms": latency_of(candidate)})


def designs(without: frozenset[SearchPart] = frozenset(), space=LARGE) -> tuple[Knowledge, FirstDesigns]:
    problem = SearchProblem(
        space=space, objectives=OBJECTIVES, scale=QualityScale.of("accuracy"), without=without
    )
    knowledge = Knowledge(problem, Looks(), seed=0)
    for candidate in knowledge.pool.candidates:
        latency = Quantity(value=latency_of(candidate))
        knowledge.learn_hardware(candidate, Hardware(metrics={"latency_ms": latency}))
    knowledge.learn(trained(space.baselines()[0], 0.9))
    return knowledge, FirstDesigns(knowledge, Goal(knowledge), seed=0)


def chosen(knowledge: Knowledge, first: FirstDesigns) -> list[Candidate]:
    found = []
    while first.missing:
        row = first.next()
        assert row is not None
        found.append(knowledge.pool.candidates[row])
        knowledge.learn(trained(found[-1], 0.5 + 0.01 * len(found)))
    return found


def test_the_best_looking_of_slices_of_equal_cost_come_first():
    knowledge, first = designs()
    assert len(knowledge.pool.model_candidates) >= START_TRAININGS * MODELS_PER_START
    found = chosen(knowledge, first)
    assert len(found) == START_TRAININGS
    assert {dict(c.student)["kind"] for c in found} == {"c"}
    assert len({latency_of(c) for c in found}) == START_TRAININGS


@pytest.mark.parametrize("what", ["left out", "few models"])
def test_where_looks_are_not_asked_all_kinds_may_come_first(what):
    few = replace(SPACE, student_axes={"width": tuple(range(1, 10)), "kind": ("a", "b", "c", "d")})
    knowledge, first = designs(frozenset({SearchPart.STARTS})) if what == "left out" else designs(space=few)
    found = chosen(knowledge, first)
    assert found
    assert {dict(c.student)["kind"] for c in found} != {"c"}


def test_networks_that_depend_on_no_input_are_no_first_designs():
    knowledge, first = designs()
    for model, candidate in enumerate(knowledge.pool.model_candidates):
        if dict(candidate.student).get("kind") == "c":
            knowledge.networks.learn(model, Untrained(constant=True, structure={"paths": 0.0}))
    assert {dict(c.student)["kind"] for c in chosen(knowledge, first)}.isdisjoint({"c"})
    assert np.isfinite(knowledge.best_goodness)
