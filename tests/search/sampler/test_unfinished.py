"""A training that was paused: what is left of it costs, its candidates are open again, its curve counts."""

import random
from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Recipe
from paretune.search.record.evaluation import Bound, Evaluation, Objective, Outcome, Quantity, StageRecord
from paretune.search.record.protocols import Milestone, Training
from paretune.search.record.quality import QualityScale
from paretune.search.record.untrained import UNTOLD
from paretune.search.sampler.choice import CONTINUED
from paretune.search.sampler.hardware_first import HardwareFirstSampler
from paretune.search.sampler.knowledge import Knowledge
from paretune.search.sampler.milestones import pause_at
from paretune.search.sampler.policy import Policy
from paretune.search.sampler.problem import SearchProblem
from paretune.search.space.space import BackendChoices, Space
from paretune.search.surrogates.curve_ends import Distances

SPACE = Space(
    backends=(
        BackendChoices(
            name="ort",
            precisions=(Precision.FP32,),
            calibration_methods=(),
            sparsities=("dense", "channel:0.5"),
        ),
    ),
    student_axes={"width": (1, 2, 3, 4), "kind": ("a", "b")},
    temperatures=(4.0,),
    weights=(0.7,),
    calibration_samples=(),
    per_channel=(True,),
    recipe=Recipe(epochs=8, finetune_epochs=4),
)
OBJECTIVES = (
    Objective(metric="accuracy", higher_is_better=True),
    Objective(metric="latency_ms", higher_is_better=False),
)
PROBLEM = SearchProblem(space=SPACE, objectives=OBJECTIVES, scale=QualityScale.of("accuracy"))
CURVE = ((2, 0.7), (4, 0.8), (6, 0.85), (8, 0.88))
SCALE = Distances(top=1.0, reach=0.1)


class Facts:
    """Trainings by name, each as long as any other, the dense student before the pruned one."""

    limits = ()

    def trains(self, candidate):
        return not candidate.is_teacher

    def trainings(self, candidate):
        names = [("distill", key(candidate))] if candidate.student else []
        names += [("prune", f"pruned {candidate.student}")] if candidate.sparsity != "dense" else []
        return tuple(Training(key=name, kind=kind, work=1e12) for kind, name in names)

    def untrained(self, candidate):
        return UNTOLD

    def ceiling(self, candidate, macs):
        return None

    def doubtful(self, candidate):
        return False


def key(candidate):
    return f"dense {candidate.student}"


def student(width=1, kind="a"):
    return next(
        c
        for c in SPACE.candidates()
        if c.student == (("kind", kind), ("width", width)) and c.sparsity == "dense"
    )


def stage(candidate, milestones, seconds):
    curve = CURVE[:milestones]
    return StageRecord(name="distill", key=key(candidate), cached=False, seconds=seconds, curve=curve)


def paused(candidate, milestones=1, seconds=20.0, bound=None):
    return Evaluation(
        candidate=candidate,
        outcome=Outcome.GATED,
        gate=hardware(candidate),
        stages=(stage(candidate, milestones, seconds),),
        stopped_epoch=CURVE[milestones - 1][0],
        paused=True,
        bound=bound,
        reason="something promises more",
    )


def hardware(candidate):
    width = dict(candidate.student).get("width", 6)
    return {"latency_ms": Quantity(value=float(width))}


def complete(candidate, seconds=80.0, quality=0.88):
    metrics = {"accuracy": Quantity(value=quality), **hardware(candidate)}
    return Evaluation(
        candidate=candidate,
        outcome=Outcome.COMPLETE,
        metrics=metrics,
        stages=() if candidate.is_teacher else (stage(candidate, 4, seconds),),
        baseline=candidate.is_teacher,
    )


@pytest.fixture
def knowledge():
    found = Knowledge(PROBLEM, Facts(), seed=0)
    found.learn(complete(SPACE.baselines()[0], quality=0.95))
    return found


def row(knowledge, candidate):
    return knowledge.pool.row[candidate]


def seconds(knowledge, candidate):
    return knowledge.model_seconds()[knowledge.pool.models[row(knowledge, candidate)]]


def test_what_was_paused_is_open_and_costs_what_is_left_of_it(knowledge):
    wanted = student()
    knowledge.learn(paused(wanted))
    assert knowledge.open()[row(knowledge, wanted)]
    assert knowledge.costs.typical_training == pytest.approx(80.0)  # a quarter took 20 s
    assert seconds(knowledge, wanted) == pytest.approx(60.0)
    assert seconds(knowledge, student(2)) == pytest.approx(80.0)
    knowledge.learn(paused(wanted, 3, seconds=40.0))
    assert seconds(knowledge, wanted) == pytest.approx(20.0)
    knowledge.learn(complete(wanted, seconds=20.0))
    assert not knowledge.open()[row(knowledge, wanted)]
    assert seconds(knowledge, wanted) == 0.0
    assert knowledge.costs.typical_training == pytest.approx(80.0)  # in three parts
    assert not knowledge.unfinished


def test_a_training_that_was_given_up_stays_closed(knowledge):
    wanted, bound = student(), Bound(value=0.8, basis="its curve")
    knowledge.learn(replace(paused(wanted, bound=bound), paused=False))
    assert not knowledge.open()[row(knowledge, wanted)]


def test_the_end_of_a_paused_training_is_expected_by_its_curve(knowledge):
    knowledge.learn(complete(student(2)))
    knowledge.learn(paused(student(), 2))
    ((model, training, end),) = knowledge.unfinished.ends(SCALE)
    assert model == knowledge.pool.models[row(knowledge, student())]
    assert (training.done, training.goodness) == (4, 0.8)
    assert 0.8 < end.goodness(SCALE)[0] < 0.95
    # The pruned student waits for it as well.
    assert len(knowledge.unfinished.paused_models()) == 2


def milestone(candidate, done=1, quality=None):
    curve = CURVE[:done] if quality is None else (*CURVE[: done - 1], (CURVE[done - 1][0], quality))
    return Milestone(key=key(candidate), kind="distill", epochs=8, curve=curve)


@pytest.fixture
def policy(knowledge):
    for candidate in (student(2), student(4), student(2, "b"), student(4, "b")):
        knowledge.learn(complete(candidate, quality=0.88 + 0.01 * dict(candidate.student)["width"]))
    for width in (1, 2, 3, 4):
        for kind in "ab":
            found = student(width, kind)
            knowledge.hardware.learn(
                knowledge.pool.classes[row(knowledge, found)], {"latency_ms": float(width)}
            )
    return Policy(knowledge, seed=0)


def test_a_training_that_promises_less_than_another_is_paused_and_one_that_promises_more_goes_on(policy):
    wanted = student(3)
    policy.set_aside(wanted)
    assert pause_at(policy, wanted, milestone(wanted, 2, quality=0.93)) is None
    decision = pause_at(policy, wanted, milestone(wanted, 3, quality=0.1))
    assert decision.pause
    assert decision.bound is None
    assert "10.00 % after 6 of 8 epochs" in decision.reason


def test_a_training_that_would_not_end_in_time_is_paused_whatever_it_promises(policy):
    wanted = student(3)
    policy.set_aside(wanted)
    good = replace(milestone(wanted, 2, quality=0.93), pace=5.0)  # 4 of 8 epochs: another 20 s
    assert pause_at(policy, wanted, good) is None
    policy.knowledge.seconds_left = lambda: 20.0
    assert pause_at(policy, wanted, good) is None
    policy.knowledge.seconds_left = lambda: 19.9
    assert pause_at(policy, wanted, good).pause
    assert pause_at(policy, wanted, good).late
    assert pause_at(policy, wanted, replace(good, pace=None)) is None


def test_what_was_asked_for_again_goes_on_from_where_it_stood(policy):
    wanted = student(3)
    policy.learn(paused(wanted, 2))
    assert policy.knowledge.unfinished.paused_at(milestone(wanted, 2))
    assert not policy.knowledge.unfinished.paused_at(milestone(wanted, 3))


def test_a_paused_training_is_proposed_again_where_it_promises_most_and_never_at_random(policy):
    known = policy.knowledge
    known.known[:] = True
    known.known[[row(known, student(3)), row(known, student(1, "b"))]] = False
    policy.learn(paused(student(3), 3))
    drawn = {policy.at_random(random.Random(seed)).row for seed in range(20)}
    assert drawn == {row(known, student(1, "b"))}
    known.known[row(known, student(1, "b"))] = True
    best = policy.best()
    assert (best.by, best.row) == (CONTINUED, row(known, student(3)))
    assert best.seconds < 80.0
    assert not policy.nothing_left


@pytest.mark.parametrize("hopeless", [False, True])
def test_where_nothing_else_is_left_a_paused_training_goes_on_unless_it_is_hopeless(policy, hopeless):
    wanted = student(3)
    for candidate in SPACE.candidates():
        if candidate != wanted:
            policy.set_aside(candidate)
    policy.learn(paused(wanted, bound=Bound(value=0.1, basis="its curve") if hopeless else None))
    drawn = policy.at_random(random.Random(0))
    if hopeless:
        assert drawn is None
    else:
        assert drawn.row == row(policy.knowledge, wanted)
        assert drawn.by == CONTINUED


def test_a_search_that_has_not_begun_has_nothing_to_go_on_with():
    assert not HardwareFirstSampler(PROBLEM, Facts(), seed=0).pays_to_go_on()


def test_what_was_paused_is_left_to_be_evaluated_once_its_training_has_gone_on_for_another_form():
    """The dense student was paused, and trained to its end for the pruned one that is made of it."""
    sampler, dense = HardwareFirstSampler(PROBLEM, Facts(), seed=0), student(3)
    sampler._policy = policy = Policy(Knowledge(PROBLEM, Facts(), seed=0), seed=0)
    policy.learn(complete(SPACE.baselines()[0], quality=0.95))
    policy.learn(paused(dense))
    for candidate in SPACE.candidates():
        if candidate != dense:
            policy.set_aside(candidate)
    assert not policy.trained().any()
    pruned = next(c for c in SPACE.candidates() if c.student == dense.student and c.sparsity != "dense")
    went_on = StageRecord(name="prune", key=f"pruned {dense.student}", cached=False, seconds=4.0)
    done = complete(pruned)
    policy.learn(replace(done, stages=(stage(dense, 4, 60.0), went_on)))
    assert policy.trained()[row(policy.knowledge, dense)]
    assert sampler.pays_to_go_on()
    policy.learn(replace(complete(dense), stages=()))
    assert not sampler.pays_to_go_on()
