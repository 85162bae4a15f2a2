"""The hardware-first sampler as an ordinary Optuna sampler, on spaces whose whole truth is known."""

from __future__ import annotations

import math
import random
import warnings
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import Trial, TrialState
from paretune.profiles.precision import Precision
from paretune.search.ranking.known import violations
from paretune.search.ranking.pareto import hypervolume
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import (
    EVALUATION,
    Evaluation,
    Limit,
    Objective,
    Outcome,
    Proposal,
    Quantity,
)
from paretune.search.record.metrics import METRICS
from paretune.search.record.protocols import Hardware, Training
from paretune.search.record.quality import QualityScale
from paretune.search.record.untrained import UNTOLD, Untrained
from paretune.search.sampler.hardware_first import (
    DISTRUSTED,
    MEASURED_AT_ONCE,
    HardwareFirstSampler,
)
from paretune.search.sampler.problem import EarlierQuality, SearchPart, SearchProblem
from paretune.search.sampler.stop_rule import StopRule
from paretune.search.space.space import BackendChoices, Space

NUMERIC = (Precision.FP32, Precision.INT8)
WIDTHS, DEPTHS = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0), (1, 2, 3, 4)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    # Optuna says of some of its own parts that they are experimental.
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)


def make_space(precisions=NUMERIC, sparsities=("dense", "channel:0.5"), **axes) -> Space:
    ort = BackendChoices(
        name="ort", precisions=precisions, calibration_methods=("minmax",), sparsities=sparsities
    )
    return Space(
        backends=(ort,),
        student_axes=axes or {"width": WIDTHS, "depth": DEPTHS},
        temperatures=(4.0,),
        weights=(0.7,),
        calibration_samples=(32,),
        per_channel=(True,),
        recipe=Recipe(epochs=3, finetune_epochs=1),
    )


SPACE = make_space()


@dataclass
class FormulaFacts:
    """What the sampler may ask, of a space in which every value follows from a formula."""

    limits: tuple[Limit, ...] = ()
    done: set[str] = field(default_factory=set)

    def doubtful(self, candidate: Candidate) -> bool:
        return False

    def trains(self, candidate: Candidate) -> bool:
        return not candidate.is_teacher

    def untrained(self, candidate: Candidate) -> Untrained:
        return UNTOLD

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        if candidate.recipe is None:
            return ()
        name = f"{candidate.student} {candidate.recipe.temperature}"
        found = [(f"dense {name}", "distill"), (f"{candidate.sparsity} {name}", "prune")]
        kept = found if candidate.sparsity != "dense" else found[:1]
        return tuple(Training(key=k, kind=kind, work=1e12, done=k in self.done) for k, kind in kept)

    def ceiling(self, candidate: Candidate, macs: float | None) -> float | None:
        return None


def truth(candidate: Candidate) -> dict[str, float]:
    """Smooth and partly at odds: larger models are better, slower and larger; int8 is smaller and faster."""
    axes = dict(candidate.student) or {"width": 1.2, "depth": 5, "kernel": 7}
    width, depth, kernel = float(axes["width"]), float(axes["depth"]), float(axes.get("kernel", 3))
    kept = 0.5 if candidate.sparsity != "dense" else 1.0
    work = (0.02 + width**2 * kept) * (1 + depth) * (0.4 + 0.2 * kernel)
    bits = 8 if candidate.precision.decoded.integer else 32
    quality = 0.98 - 0.25 * math.exp(-2.2 * width) - 0.12 * math.exp(-0.8 * depth) - 0.05 / kernel
    quality -= 0.02 * (1 - kept)
    return {
        "accuracy": quality - (0.01 * (1.3 - width) if bits == 8 else 0.0),
        "latency_ms": 0.2 + 0.5 * work * (0.45 if bits == 8 else 1.0),
        "size_bytes": 2e4 + 1e6 * work * bits / 32,
        "memory_bytes": 1e6 + 3e6 * width * bits / 32,
        "macs": 1e8 * work,
    }


def objectives(*names: str) -> tuple[Objective, ...]:
    return tuple(Objective(metric=name, higher_is_better=METRICS[name].higher_is_better) for name in names)


KINDS = {
    "two": ("accuracy", "latency_ms"),
    "three": ("accuracy", "latency_ms", "size_bytes"),
    "four": ("accuracy", "latency_ms", "size_bytes", "memory_bytes"),
    "two without quality": ("latency_ms", "size_bytes"),
    "three without quality": ("memory_bytes", "latency_ms", "size_bytes"),
    "quality last": ("size_bytes", "accuracy"),
}


def sampler_for(
    names: Iterable[str], limits: tuple[Limit, ...] = (), seed: int = 0, space: Space = SPACE, **more
) -> HardwareFirstSampler:
    stop = more.pop("stop", None)
    problem = SearchProblem(
        space=space, objectives=objectives(*names), scale=QualityScale.of("accuracy"), **more
    )
    return HardwareFirstSampler(problem, FormulaFacts(limits), seed, stop)


class Search:
    """An ordinary Optuna study over a space; remembers what was proposed."""

    def __init__(
        self,
        sampler: BaseSampler,
        names: Iterable[str],
        values: Callable[[Candidate], dict[str, float]] = truth,
        space: Space = SPACE,
    ) -> None:
        self.names, self.values, self.space = tuple(names), values, space
        directions = ["maximize" if o.higher_is_better else "minimize" for o in objectives(*self.names)]
        self.study = optuna.create_study(directions=directions, sampler=sampler)
        self.proposed: list[Candidate] = []
        self.explained: list[Proposal | None] = []

    def evaluate(self, trial: Trial) -> tuple[float, ...]:
        candidate = self.space.suggest(trial)
        self.proposed.append(candidate)
        found = self.values(candidate)
        return tuple(found[name] for name in self.names)

    def run(self, trials: int, **options) -> list[Candidate]:
        self.study.optimize(self.evaluate, n_trials=trials, **options)
        return self.proposed


FAST = Limit(text="latency <= 0.8 ms", metric="latency_ms", upper=True, bound=0.8)
SMALL = Limit(text="size <= 1 MB", metric="size_bytes", upper=True, bound=1e6)
GOOD = Limit(text="accuracy >= 80 %", metric="accuracy", upper=False, bound=0.8)
FITS = Limit(text="memory <= 3 MB", metric="memory_bytes", upper=True, bound=3e6)


def meets(candidate: Candidate, limits: Iterable[Limit]) -> bool:
    return all(limit.violation(truth(candidate)[limit.metric]) <= 0 for limit in limits)


# -- proposals -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("limits", [(), (FAST, GOOD), (SMALL, FITS, GOOD)], ids=["free", "two", "three"])
def test_every_candidate_is_proposed_once_until_none_is_left(names, limits):
    small = make_space(width=(0.25, 0.5, 1.0), depth=(1, 3))
    # Known limits on the device leave candidates out for good; without, all come.
    wanted = {c for c in small.candidates() if meets(c, [x for x in limits if x.metric in names])}
    search = Search(sampler_for(names, limits, space=small), names, space=small)
    search.run(len(wanted))
    assert len(set(search.proposed)) == len(search.proposed)
    assert set(search.proposed) <= set(small.candidates())
    if not limits:
        assert set(search.proposed) == wanted
        search.run(5)  # and nothing breaks when none is left
        assert set(search.proposed) == wanted


@pytest.mark.parametrize("names", KINDS.values(), ids=KINDS)
def test_no_warning_no_missing_number(names):
    search = Search(sampler_for(names, (FITS, GOOD)), names)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        search.run(3)
        told_with_evaluations(search, 12, (FITS, GOOD))
    proposals = [found for found in search.explained if found is not None]
    assert len(proposals) == 12
    assert {p.by for p in proposals} <= {"start", "gain", "random"}
    expected = [p for p in proposals if p.by == "gain"]
    assert expected
    # A share of the front's volume; there is none where nothing known is within the corner yet.
    assert any(proposal.gain is not None for proposal in expected)
    for proposal in expected:
        assert proposal.gain is None or proposal.gain > 0
        assert proposal.seconds > 0
        assert 0 <= proposal.quality.low <= proposal.quality.value <= proposal.quality.high <= 1
    sampler = search.study.sampler
    assert sampler.proposal(0) is not None
    assert sampler.proposal(0) is None, "told once"


def test_a_seed_gives_the_same_proposals():
    names = KINDS["three"]
    first, again, other = (Search(sampler_for(names, (FAST,), seed=s), names).run(25) for s in (3, 3, 4))
    assert first == again
    assert first != other


def test_without_an_order_of_variants_all_of_a_trained_student_come_before_the_next_training():
    names = KINDS["two"]
    sampler = sampler_for(names, without=frozenset({SearchPart.VARIANTS}))
    student = next(candidate for candidate in SPACE.candidates() if candidate.student)
    sampler.facts.done.add(sampler.facts.trainings(student)[0].key)
    proposed = Search(sampler, names).run(3)
    ready = {c for c in SPACE.candidates() if c.student == student.student and c.sparsity == student.sparsity}
    assert set(proposed[: len(ready)]) == ready
    assert len(ready) == 2
    assert proposed[2] not in ready


def test_queued_trials_come_first_and_teach():
    names = KINDS["two"]
    search = Search(sampler_for(names), names)
    wanted = random.Random(0).sample(list(SPACE.candidates()), 4)
    for candidate in wanted:
        search.study.enqueue_trial(SPACE.params(candidate))
    search.run(12)
    assert search.proposed[:4] == wanted
    assert len(set(search.proposed)) == 12
    assert all(search.study.sampler.proposal(n) is None for n in range(4))
    assert search.study.sampler.proposal(4) is not None


def test_a_partly_queued_trial_is_completed():
    names = KINDS["two"]
    search = Search(sampler_for(names), names)
    search.study.enqueue_trial({"precision_ort": "int8", "model": "student"})
    search.run(3)
    assert search.proposed[0].precision is Precision.INT8
    assert search.proposed[0].student
    assert all(candidate in SPACE for candidate in search.proposed)


def test_a_new_sampler_goes_on_where_the_study_is():
    names = KINDS["three"]
    search = Search(sampler_for(names, (FAST,)), names)
    search.run(20)
    search.study.sampler = sampler_for(names, (FAST,), seed=1)
    search.run(20)
    assert len(set(search.proposed)) == 40
    assert search.study.sampler.proposal(20).by in ("gain", "random")


def test_what_failed_or_was_pruned_is_not_tried_again_and_breaks_nothing():
    names = KINDS["two"]
    search = Search(sampler_for(names), names)

    def fragile(trial: Trial) -> tuple[float, ...]:
        found = search.evaluate(trial)
        if trial.number % 3 == 0:
            raise RuntimeError("the device went away")
        if trial.number % 3 == 1:
            return (math.nan, 1.0)
        return found

    search.study.optimize(fragile, n_trials=30, catch=(RuntimeError,))
    states = [trial.state for trial in search.study.trials]
    assert states.count(TrialState.FAIL) == 20
    assert len(set(search.proposed)) == 30
    # Pruned ones Optuna allows with one objective alone, but they may stand in a study all the same.
    pruned = search.study.ask()
    search.proposed.append(SPACE.suggest(pruned))
    search.study.tell(pruned, state=TrialState.PRUNED)
    search.study.sampler = sampler_for(names, seed=5)
    search.run(10)
    assert len(set(search.proposed)) == 41


def test_a_trial_that_ended_before_all_was_chosen_and_one_of_another_space_are_passed_over():
    names = KINDS["two"]
    search = Search(sampler_for(names), names)
    broken = search.study.ask()
    broken.suggest_categorical("model", ("student", "teacher"))
    search.study.tell(broken, state=TrialState.FAIL)
    search.study.add_trial(
        optuna.trial.create_trial(
            params={"model": "student", "layers": 3},
            distributions={
                "model": optuna.distributions.CategoricalDistribution(("student", "other")),
                "layers": optuna.distributions.IntDistribution(1, 4),
            },
            values=(0.9, 1.0),
        )
    )
    search.run(8)
    assert len(set(search.proposed)) == 8


def test_a_trial_still_running_hides_nothing_and_is_not_proposed_again():
    names = KINDS["two"]
    search = Search(sampler_for(names), names)
    first = search.study.ask()
    held = [SPACE.suggest(first)]
    held.append(SPACE.suggest(search.study.ask()))
    search.run(20)
    assert len({*search.proposed, *held}) == 22
    knowledge = search.study.sampler._current(search.study).knowledge
    assert len(knowledge.observed) == 20


def test_threads_that_ask_at_once_get_different_candidates():
    names = KINDS["two"]
    search = Search(sampler_for(names), names)
    search.run(16, n_jobs=2)
    assert len(set(search.proposed)) == 16


def test_plain_trials_of_another_sampler_are_understood():
    names = KINDS["two"]
    search = Search(RandomSampler(seed=0), names)
    search.run(30)
    assert not any(trial.user_attrs for trial in search.study.trials)
    search.study.sampler = sampler_for(names)
    search.run(10)
    seen = set(search.proposed[:30])
    assert not seen & set(search.proposed[30:])
    knowledge = search.study.sampler._policy.knowledge
    for candidate in seen:
        row = knowledge.pool.row[candidate]
        assert knowledge.observed[row][0] == pytest.approx(truth(candidate)["accuracy"])
        assert knowledge.hardware_of("latency_ms")[row] == pytest.approx(truth(candidate)["latency_ms"])


def test_plain_trials_that_miss_a_limit_are_on_no_front():
    names = KINDS["two"]
    search = Search(RandomSampler(seed=0), names)
    search.run(30)
    search.study.sampler = sampler_for(names, (FAST, GOOD))
    search.run(1)
    knowledge = search.study.sampler._policy.knowledge
    seen = {c for c in search.proposed[:30] if meets(c, (FAST, GOOD))}
    assert 0 < len(seen) < len(set(search.proposed[:30]))
    assert {knowledge.pool.candidates[row] for row in knowledge.points} == seen


def test_a_lower_quality_may_be_better():
    def loss(candidate: Candidate) -> dict[str, float]:
        return {**truth(candidate), "accuracy": 1 - truth(candidate)["accuracy"]}

    kind = (Objective(metric="accuracy", higher_is_better=False), *objectives("latency_ms"))
    problem = SearchProblem(
        space=SPACE, objectives=kind, scale=QualityScale.of("accuracy", higher_is_better=False)
    )
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=HardwareFirstSampler(problem, FormulaFacts(), 0)
    )
    found = []

    def evaluate(trial: Trial) -> tuple[float, float]:
        found.append(loss(SPACE.suggest(trial)))
        return found[-1]["accuracy"], found[-1]["latency_ms"]

    study.optimize(evaluate, n_trials=35)
    best = min(loss(c)["accuracy"] for c in SPACE.candidates())
    assert min(f["accuracy"] for f in found) < best + 0.01


# -- limits --------------------------------------------------------------------------------------------


def test_limits_on_the_device_turn_the_search_to_what_meets_them():
    tight = Limit(text="latency <= 0.4 ms", metric="latency_ms", upper=True, bound=0.4)
    names, limits = KINDS["three"], (tight, SMALL)
    share = np.mean([meets(c, limits) for c in SPACE.candidates()])
    met = []
    for seed in range(3):
        search = Search(sampler_for(names, limits, seed=seed), names)
        search.run(25)
        for number, candidate in enumerate(search.proposed):
            if (told := search.study.sampler.proposal(number)) is not None and told.by == "gain":
                met.append(meets(candidate, limits))
    assert share < 0.6
    assert len(met) > 10
    assert np.mean(met) > 0.75


def test_a_limit_on_the_quality_is_kept_to_where_it_is_no_objective():
    names, limits = KINDS["two without quality"], (GOOD,)
    sampler = sampler_for(names, limits)

    # The values of a plain trial do not tell the quality here, so it comes with the evaluation.
    search = Search(sampler, names)
    told = told_with_evaluations(search, 30, limits)
    smallest = min(truth(c)["size_bytes"] for c in SPACE.candidates() if meets(c, limits))
    assert min(truth(c)["size_bytes"] for c in told if meets(c, limits)) == smallest


def told_with_evaluations(search: Search, trials: int, limits: tuple[Limit, ...] = ()) -> list[Candidate]:
    """Run a search whose trials carry whole evaluations, as the driver's do."""

    def evaluate(trial: Trial) -> tuple[float, ...]:
        found = search.evaluate(trial)
        candidate = search.proposed[-1]
        metrics = {name: Quantity(value=value) for name, value in search.values(candidate).items()}
        evaluation = Evaluation(
            candidate=candidate,
            outcome=Outcome.COMPLETE,
            metrics=metrics,
            violations=violations(limits, metrics),
            proposal=search.study.sampler.proposal(trial.number),
        )
        trial.set_user_attr("evaluation", EVALUATION.dump_json(evaluation).decode())
        search.explained.append(evaluation.proposal)
        return found

    search.study.optimize(evaluate, n_trials=trials)
    return search.proposed


# -- how good it is ------------------------------------------------------------------------------------


LARGE = make_space(width=WIDTHS, depth=DEPTHS, kernel=(1, 3, 5, 7))


def trials_to(share: float, search: Search, corner: dict[str, float], most: int) -> int:
    """How many trials until a share of the true hypervolume is reached."""
    higher = [o.higher_is_better for o in objectives(*search.names)]

    def reached(candidates: Iterable[Candidate]) -> float:
        points = [[truth(c)[name] for name in search.names] for c in candidates]
        return hypervolume(points, list(corner.values()), higher)

    whole, proposed = reached(LARGE.candidates()), search.run(most)
    counts = range(1, most + 1)
    return bisect_left(counts, True, key=lambda n: reached(proposed[:n]) >= share * whole) + 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["two", "three"])
def test_far_fewer_trials_than_at_random_on_a_smooth_space(kind):
    names = KINDS[kind]
    corner = {name: max(truth(c)[name] for c in LARGE.candidates()) / 4 for name in names}
    corner["accuracy"] = 0.85
    ours, at_random = [], []
    for seed in range(3):
        sampler = sampler_for(names, seed=seed, space=LARGE, reference=corner)
        ours.append(trials_to(0.9, Search(sampler, names, space=LARGE), corner, 40))
    for seed in range(10):
        at_random.append(trials_to(0.9, Search(RandomSampler(seed=seed), names, space=LARGE), corner, 120))
    assert np.mean(ours) < 0.5 * np.mean(at_random)


def test_without_any_relation_between_rows_candidates_are_drawn_at_random():
    def checkered(candidate: Candidate) -> dict[str, float]:
        """Neighbours on every axis have opposite values: whoever infers from them is wrong."""
        axes = dict(candidate.student) or {"width": 1.0, "depth": 1}
        odd = WIDTHS.index(axes["width"]) + DEPTHS.index(axes["depth"]) + len(candidate.sparsity)
        odd += candidate.precision is Precision.INT8
        return {**truth(candidate), "accuracy": 0.9 if odd % 2 else 0.5}

    names = KINDS["two"]
    search = Search(sampler_for(names), names, values=checkered)
    search.run(60)
    sampler = search.study.sampler
    kinds = [found.by for n in range(60) if (found := sampler.proposal(n)) is not None]
    assert kinds.count("random") > 20
    assert kinds[:10].count("random") < 5, "too little was known to distrust the model"
    assert list(sampler.remarks) == [DISTRUSTED]
    assert all(candidate in SPACE for candidate in search.proposed)


def test_where_values_are_pure_noise_the_model_is_distrusted():
    said = 0
    for seed in range(5):
        search = Search(
            sampler_for(KINDS["two"], seed=seed),
            KINDS["two"],
            values=lambda c: {**truth(c), "accuracy": random.Random(f"{seed} {c.digest}").random()},  # noqa: B023
        )
        search.run(45)
        said += bool(search.study.sampler.remarks)
    # By chance a model may seem better than a constant for a while.
    assert said >= 2


def test_on_a_smooth_space_the_model_is_trusted():
    names = KINDS["two"]
    search = Search(sampler_for(names), names)
    search.run(40)
    assert not search.study.sampler.remarks


# -- measuring before proposing ------------------------------------------------------------------------


def teacher_told(search: Search) -> None:
    """The first trial, as the driver makes it: the uncompressed teacher, a baseline."""
    candidate = SPACE.baselines()[0]
    metrics = {name: Quantity(value=value) for name, value in truth(candidate).items()}
    evaluation = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics, baseline=True)
    search.study.enqueue_trial(SPACE.params(candidate))
    trial = search.study.ask()
    SPACE.suggest(trial)
    trial.set_user_attr("evaluation", EVALUATION.dump_json(evaluation).decode())
    search.study.tell(trial, [truth(candidate)[name] for name in search.names])


def measured(candidate: Candidate) -> Hardware:
    hardware = {k: v for k, v in truth(candidate).items() if k != "accuracy"}
    return Hardware(metrics={name: Quantity(value=value) for name, value in hardware.items()})


def survey(search: Search, seconds: float = 0.1, first: bool = True) -> list[Candidate]:
    """What is measured before the next proposal; `seconds`: what one measurement takes."""
    sampler, wanted = search.study.sampler, []
    while (candidate := sampler.wants(search.study, survey=first)) is not None:
        sampler.learn_hardware(candidate, measured(candidate), seconds=seconds)
        wanted.append(candidate)
        assert len(wanted) < 200
    return wanted


def test_measured_first_are_different_classes_that_need_training_and_cover_the_axes():
    names = KINDS["three"]
    search = Search(sampler_for(names), names)
    teacher_told(search)
    wanted = survey(search)
    assert len({c.hardware_class() for c in wanted}) == len(wanted) > 4
    assert all(c.recipe is not None and c in SPACE for c in wanted)
    knowledge = search.study.sampler._policy.knowledge
    for candidate in wanted:
        row = knowledge.pool.row[candidate]
        assert knowledge.hardware_of("latency_ms")[row] == truth(candidate)["latency_ms"]
    rows = np.arange(len(knowledge.pool))
    true = np.array([truth(c)["latency_ms"] for c in knowledge.pool.candidates])
    assert np.median(np.abs(np.log(knowledge.hardware_of("latency_ms")[rows] / true))) < 0.2


def test_several_are_measured_at_a_time_where_that_is_cheap_against_training():
    def before_each_proposal(seconds: float) -> list[int]:
        names = KINDS["two"]
        search = Search(sampler_for(names), names)
        teacher_told(search)
        counts = []
        for _ in range(8):
            wanted = survey(search, seconds, first=False)
            assert len({c.hardware_class() for c in wanted}) == len(wanted)
            counts.append(len(wanted))
            search.run(1)
        return counts

    assert max(before_each_proposal(1e6)) <= MEASURED_AT_ONCE < max(before_each_proposal(1e-6))


def test_a_class_that_is_refused_is_never_proposed():
    names = KINDS["two"]
    search = Search(sampler_for(names), names)
    teacher_told(search)
    first = search.study.sampler.wants(search.study)
    search.study.sampler.learn_hardware(first, Hardware(refused="no such kernel"))
    refused = first.hardware_class()
    proposed = search.run(30)
    assert refused not in {c.hardware_class() for c in proposed}


def test_the_best_on_the_device_is_over_all_that_share_a_training():
    names = KINDS["two"]
    search = Search(sampler_for(names), names)
    assert search.study.sampler.best_hardware(SPACE.baselines()[0]) is None
    teacher_told(search)
    for candidate in SPACE.candidates():
        search.study.sampler.wants(search.study)
        search.study.sampler.learn_hardware(candidate, measured(candidate), seconds=0.1)
    one = next(c for c in SPACE.candidates() if c.student and c.sparsity == "dense")
    alike = [c for c in SPACE.candidates() if c.student == one.student]
    found = search.study.sampler.best_hardware(one)
    assert found == {"latency_ms": min(truth(c)["latency_ms"] for c in alike)}


# -- when to stop --------------------------------------------------------------------------------------


def hopeless(candidate: Candidate) -> dict[str, float]:
    """Whatever is not the teacher is worse in quality, and no faster."""
    if candidate.is_teacher:
        return {**truth(candidate), "accuracy": 0.99, "latency_ms": 0.01}
    return {**truth(candidate), "accuracy": 0.3 + 0.1 * truth(candidate)["accuracy"]}


def ended(search: Search, most: int) -> int:
    """After how many trials the sampler has nothing more to gain; `most` where it goes on."""
    while not search.study.sampler.finished() and len(search.proposed) < most:
        told_with_evaluations(search, 1)
    return len(search.proposed)


def begun(stop: StopRule | None, values: Callable[[Candidate], dict[str, float]]) -> Search:
    search = Search(sampler_for(KINDS["two"], stop=stop), KINDS["two"], values=values)
    for candidate in SPACE.baselines():
        search.study.enqueue_trial(SPACE.params(candidate))
    return search


def test_the_search_may_end_where_all_else_is_worse():
    search = begun(StopRule(), hopeless)
    assert ended(search, 80) < 80
    said = search.study.sampler.finished()
    assert "6 proposals in a row" in said
    assert "raise the hypervolume by less than 0.1 %" in said


def test_without_a_rule_the_search_goes_on():
    assert ended(begun(None, hopeless), 80) == 80


def test_the_rule_waits_for_so_many_proposals_and_for_a_small_gain():
    rules = (
        StopRule(gain=0.5, proposals=2),
        StopRule(gain=0.5, proposals=9),
        StopRule(gain=1e-9, proposals=2),
    )
    early, late, careful = (ended(begun(rule, truth), 80) for rule in rules)
    assert early + 7 <= late < 80
    assert careful > early


def test_a_resumed_study_goes_on_counting():
    rule = StopRule(gain=0.5, proposals=4)
    search = begun(rule, truth)
    assert ended(search, 80) < 80
    search.study.sampler = sampler_for(KINDS["two"], seed=7, stop=rule)
    assert search.study.sampler.finished() == "", "nothing was read yet"
    search.study.sampler.wants(search.study)
    assert "4 proposals in a row" in search.study.sampler.finished()


def test_where_nothing_can_meet_the_limits_the_search_ends():
    names = KINDS["two"]
    nothing = Limit(text="latency <= 1 us", metric="latency_ms", upper=True, bound=1e-3)
    search = Search(sampler_for(names, (nothing,)), names)
    teacher_told(search)
    for candidate in SPACE.candidates():
        search.study.sampler.wants(search.study)
        search.study.sampler.learn_hardware(candidate, measured(candidate), seconds=0.1)
    search.run(5)
    assert search.study.sampler.finished() == "no candidate is left that could meet the limits"


# -- earlier studies -----------------------------------------------------------------------------------


def test_what_an_earlier_study_found_is_known_from_the_start():
    names = KINDS["two"]
    strangers = [c for c in make_space(precisions=(Precision.FP16,)).candidates() if c.student]
    earlier = tuple(
        EarlierQuality(candidate=c, quality=truth(c)["accuracy"], noise=2.0)
        for c in [*strangers, *list(SPACE.candidates())[::7]]
    )
    search = Search(sampler_for(names, earlier=earlier), names)
    search.run(12)
    assert not set(strangers) & set(search.proposed)
    knowledge = search.study.sampler._policy.knowledge
    assert len(knowledge.observed) >= len(earlier)
    evaluated = {knowledge.pool.candidates[row] for row in knowledge.points}
    assert evaluated == set(search.proposed[:11]), "what was not measured here is on no front"


def test_a_space_known_from_an_earlier_study_is_searched_all_the_same():
    names = KINDS["two"]
    earlier = tuple(
        EarlierQuality(candidate=c, quality=truth(c)["accuracy"], noise=2.0) for c in SPACE.candidates()
    )
    search = Search(sampler_for(names, earlier=earlier), names)
    search.run(10)
    assert len(set(search.proposed)) == 10


@pytest.mark.slow
def test_in_a_long_study_those_that_looked_best_are_ranked_until_all_are_looked_at_again():
    names = KINDS["two"]
    trials = random.Random(3).sample(list(LARGE.candidates()), 156)
    search = Search(sampler_for(names, space=LARGE), names, space=LARGE)
    sampler, study = search.study.sampler, search.study
    for number, candidate in enumerate(trials):
        study.enqueue_trial(LARGE.params(candidate))
        search.run(1)
        kept = sampler._current(study).best()
        expectation = sampler._current(study).expectation
        if number >= 150 and len(expectation._surrogate) > expectation._looked_at + 1:
            break
    assert len(expectation._surrogate) > expectation._looked_at + 1 > 128
    ranking = sampler_for(names, space=LARGE)._current(study)._ranked()
    place = ranking.rows.tolist().index(kept.row)
    assert place < 10
    assert ranking.gain[place] > 0.7 * ranking.gain[0]


def test_what_is_excluded_is_neither_measured_nor_proposed():
    names = KINDS["three"] if "three" in KINDS else KINDS["two"]
    search = Search(sampler_for(names), names)
    search.study.sampler.exclude(lambda candidate: candidate.precision is Precision.INT8)
    teacher_told(search)
    wanted = survey(search)
    assert wanted
    assert all(candidate.precision is not Precision.INT8 for candidate in wanted)
    search.run(6)
    search.study.sampler.exclude(lambda candidate: dict(candidate.student).get("depth") == 4)
    seen = {trial.number for trial in search.study.trials}
    search.run(12)
    later = [t for t in search.study.trials if t.number not in seen]
    proposed = [SPACE.suggest(optuna.trial.FixedTrial(trial.params)) for trial in later]
    assert proposed
    assert all(dict(candidate.student).get("depth") != 4 for candidate in proposed)
