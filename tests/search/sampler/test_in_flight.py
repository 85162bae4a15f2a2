"""Several candidates at once: what is under way is neither proposed nor trained nor measured by others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from paretune.search.record.evaluation import Proposal, Quantity
from paretune.search.record.protocols import Hardware
from paretune.search.sampler.beside import MOST_UNHEARD, SHARE_BESIDE_ONE, waits
from paretune.search.sampler.hardware_first import HardwareFirstSampler
from paretune.search.sampler.milestones import pause_at
from paretune.search.sampler.policy import STALLED, Policy
from paretune.search.sampler.stop_rule import StopRule

from tests.search.sampler.test_first_designs import designs
from tests.search.sampler.test_unfinished import (
    PROBLEM,
    SPACE,
    Facts,
    complete,
    knowledge,
    milestone,
    paused,
    policy,
    row,
    student,
)

__all__ = ["knowledge", "policy"]


def pruned(width: int):
    return next(
        c for c in SPACE.candidates() if c.student == student(width).student and c.sparsity != "dense"
    )


def is_open(policy: Policy, candidate) -> bool:
    return bool(policy.knowledge.open()[row(policy.knowledge, candidate)])


def test_what_is_begun_and_what_needs_its_training_is_not_proposed_until_it_ends(policy):
    one, other = student(3), student(3, "b")
    policy.begin(one)
    assert not is_open(policy, one)
    assert not is_open(policy, pruned(3)), "it starts from the same dense student"
    assert is_open(policy, other)
    policy.end(one, given_up=True)
    assert is_open(policy, one)
    policy.begin(one)
    policy.end(one, given_up=False)
    policy.learn(complete(one))
    assert not is_open(policy, one)
    assert is_open(policy, pruned(3))
    assert not policy.knowledge.flight


def test_a_form_of_a_trained_student_holds_up_no_other(policy):
    policy.learn(complete(student(3)))
    policy.begin(pruned(3))
    policy.begin(pruned(2))
    policy.end(pruned(3), given_up=False)
    policy.learn(replace(complete(pruned(3)), stages=()))
    assert is_open(policy, pruned(4))
    assert not is_open(policy, pruned(2))


def test_what_was_paused_meanwhile_is_open_again(policy):
    policy.begin(student(3))
    policy.end(student(3), given_up=False)
    policy.learn(paused(student(3), 2))
    assert is_open(policy, student(3))


def test_a_class_that_is_being_measured_is_not_wanted_again_until_that_was_given_up():
    sampler, wanted = HardwareFirstSampler(PROBLEM, Facts(), seed=0), []
    policy = sampler._current(_NoTrials())
    policy.learn(complete(SPACE.baselines()[0], quality=0.95))
    for _ in range(3):
        wanted.append(sampler.wants(_NoTrials()))
        sampler.begin_measurement(wanted[-1])
    assert len({candidate.hardware_class() for candidate in wanted}) == 3
    sampler.end_measurement(wanted[0])
    assert sampler.wants(_NoTrials()) == wanted[0]
    sampler.learn_hardware(wanted[1], Hardware(metrics={"latency_ms": Quantity(value=2.0)}), 1.0)
    assert policy.knowledge.flight.classes() == {
        policy.knowledge.pool.classes[row(policy.knowledge, wanted[2])]
    }


class _NoTrials:
    """A study without any."""

    def get_trials(self, **_):
        return []


def test_what_is_under_way_is_taken_for_what_is_expected_of_it(policy):
    rows = policy._ranked().rows
    before = policy.expectation.rates(rows)
    first = policy.candidate(int(rows[0]))
    policy.begin(first)
    beside = policy.expectation.rates(rows)
    assert (beside <= before * (1 + 1e-9)).all()
    assert beside[0] < 0.9 * before[0]
    assert policy.expectation.rates(rows, without=int(rows[0])) == pytest.approx(before)
    policy.end(first, given_up=True)
    assert policy.expectation.rates(rows) == pytest.approx(before)


def test_at_a_milestone_what_is_under_way_is_no_alternative(policy):
    wanted, rival = student(3), student(3, "b")
    policy.begin(wanted)
    others = policy.others(row(policy.knowledge, wanted))
    assert others is not None
    policy.begin(rival)
    for candidate in SPACE.candidates():
        if candidate not in (wanted, rival):
            policy.set_aside(candidate)
    assert policy.others(row(policy.knowledge, wanted)) is None
    assert pause_at(policy, wanted, milestone(wanted, 3, quality=0.1)) is None


def test_where_all_that_is_left_is_under_way_the_search_waits_and_is_not_finished(policy):
    for candidate in SPACE.candidates():
        if candidate != student(3):
            policy.set_aside(candidate)
    assert not waits(policy)
    policy.begin(student(3))
    assert waits(policy)
    policy.end(student(3), given_up=True)
    assert not waits(policy)


def test_a_worker_waits_where_what_is_left_promises_far_less_than_what_is_under_way(policy):
    best = policy.best()
    assert best is not None
    policy.begin(policy.propose(best))
    beside = policy.best()
    assert beside is not None
    flight = policy.knowledge.flight
    flight.promise(policy.candidate(best.row), 0.9 * beside.rate / SHARE_BESIDE_ONE)
    assert not waits(policy)
    flight.promise(policy.candidate(best.row), 1.1 * beside.rate / SHARE_BESIDE_ONE)
    assert waits(policy)


def test_the_more_is_under_way_the_more_has_to_be_promised_but_never_more_than_the_best_of_it(policy):
    begun = []
    for _ in range(3):
        begun.append(policy.propose(policy.best()))
        policy.begin(begun[-1])
    flight, beside = policy.knowledge.flight, policy.best()
    for candidate in begun:
        flight.promise(candidate, 0.0)
    flight.promise(begun[0], 0.9 * beside.rate / (3 * SHARE_BESIDE_ONE))
    assert not waits(policy)
    flight.promise(begun[0], 1.1 * beside.rate / (3 * SHARE_BESIDE_ONE))
    assert waits(policy)
    policy.end(begun[2], given_up=True)
    assert not waits(policy)


def test_nothing_is_begun_beside_trainings_that_have_yet_to_tell_something(policy):
    # Only where trainings tell something on their way: those of one kind do.
    flight, begun = policy.knowledge.flight, []
    policy.knowledge.unfinished.telling.clear()

    def waits_beside(candidate) -> bool:
        begun.append(candidate)
        policy.begin(candidate)
        for one in begun:
            flight.promise(one, 0.0)
        return waits(policy)

    untrained = [student(1), student(3), student(1, "b")]
    assert [waits_beside(one) for one in untrained] == [False] * MOST_UNHEARD
    policy.knowledge.unfinished.telling.add("distill")
    assert waits(policy)
    pause_at(policy, begun[0], milestone(begun[0], 1))
    flight.promise(begun[0], 0.0)
    assert not waits(policy)
    assert waits_beside(student(3, "b"))
    policy.end(begun[1], given_up=True)
    assert not waits(policy)


def test_what_is_heard_first_of_a_training_is_taken_in_before_more_is_begun():
    sampler = HardwareFirstSampler(PROBLEM, Facts(), seed=0)
    policy = sampler._current(_NoTrials())
    policy.learn(complete(SPACE.baselines()[0], quality=0.95))
    for width in (2, 4):
        policy.learn(complete(student(width, "b")))
    policy.begin(student(3))
    before = policy._ranked()
    pause_at(policy, student(3), milestone(student(3), 1, quality=0.2))
    assert policy._ranked() is before
    assert sampler._current(_NoTrials())._ranked() is not before
    before = policy._ranked()
    pause_at(policy, student(3), milestone(student(3), 2, quality=0.2))
    assert sampler._current(_NoTrials())._ranked() is before


def test_nothing_is_awaited_of_a_training_that_goes_on(policy):
    policy.learn(paused(student(3)))
    policy.begin(student(3))
    assert policy.knowledge.flight.unheard({"distill"}) == 0
    policy.begin(student(1, "b"))
    assert policy.knowledge.flight.unheard({"distill"}) == 1
    assert policy.knowledge.flight.unheard({"prune"}) == 0


@pytest.mark.parametrize("beside", [0, 7])
def test_of_misses_that_did_not_know_of_each_other_each_is_a_part_of_one(policy, beside):
    policy.learn(complete(student(1)))
    before = policy.random_share
    for one in (student(3), student(1, "b"), student(3, "b")):
        worse = complete(one, quality=0.1)
        policy.learn(replace(worse, proposal=Proposal(by="gain", beside=beside)))
    assert policy.random_share == pytest.approx(before * 2 ** (3 / (1 + beside) / STALLED))


def test_the_first_designs_are_begun_at_once_and_not_pausable_before_they_told_something():
    known, first = designs()
    begun = []
    while first.missing:
        begun.append(known.pool.candidates[first.next()])
        known.flight.begin(begun[-1], 0.0)
    assert len({candidate.student for candidate in begun}) == 6
    assert first.missing_results
    for candidate in begun:
        known.flight.end(candidate)
    assert first.missing, "they came to nothing"


def test_the_first_designs_wait_for_simple_choices_since_these_tell_what_the_device_takes():
    known, _ = designs()
    policy = Policy(known, seed=0)
    assert policy.starting
    policy.begin(next(c for c in known.pool.candidates if c.student))
    teacher = next(c for c in known.pool.candidates if c.is_teacher and not known.known[known.pool.row[c]])
    assert not waits(policy), "a first design is no reason to wait with the next"
    policy.begin(teacher)
    assert waits(policy)
    policy.end(teacher, given_up=False)
    assert not waits(policy)


@pytest.mark.parametrize(("beside", "ends"), [(0, True), (1, False), (7, False)])
def test_the_stop_rule_asks_for_more_small_gains_where_more_is_under_way(beside, ends):
    def ended(*gains):
        return bool(StopRule().ended(gains, [beside] * len(gains)))

    small = [1e-5] * 6
    assert ended(0.5, *small) is ended(*small) is ends
    assert ended(0.5, *small, *small[:1] * 7)
    assert not ended(*small[1:])


def test_candidates_of_other_spaces_hold_up_nothing(policy):
    stranger = replace(student(3), student=(("kind", "c"), ("width", 3)))
    policy.begin(stranger)
    assert np.array_equal(policy.knowledge.open(), policy.knowledge.left())
    policy.end(stranger, given_up=True)
    assert not policy.knowledge.flight
