"""The driver from a study file to a record, on the `toy` backend."""

import json
import warnings

import optuna
import pytest
from paretune.profiles.errors import UserError
from paretune.search.driver.budget import StopFlag
from paretune.search.record.evaluation import Outcome
from paretune.search.record.progress import Progress
from paretune.search.run.session import run_study
from paretune.search.run.stored import open_run
from study.conftest import STUDY

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def finished(bench_in, shared_store, tmp_path_factory):
    """The record of a study that compares as many processes as studies usually do."""
    bench = bench_in(tmp_path_factory.mktemp("finished"))
    usual = {"rounds": 9, "finalist_rounds": 9}
    return run_study(bench.study(store=shared_store, measure=usual)).record


@pytest.fixture(scope="module")
def limited(bench_in, shared_store, tmp_path_factory):
    """What a study with two kinds of limits came to, made where a warning of Optuna's would end it."""
    bench = bench_in(tmp_path_factory.mktemp("limited"))
    limits = ["size <= 2 kB", "accuracy >= teacher - 2 pt absolute"]
    with warnings.catch_warnings():
        warnings.simplefilter("error", optuna.exceptions.ExperimentalWarning)
        return run_study(bench.study(store=shared_store, constraints=limits, finalists=1))


def by_outcome(record, outcome):
    return [t for t in record.trials if t.evaluation.outcome is outcome and t.duplicate_of is None]


def trainings(record):
    """Keys of the trainings that this study really did."""
    trials = [t.evaluation for t in record.trials if t.duplicate_of is None]
    return [s.key for e in trials for s in e.stages if s.name == "distill" and not s.cached]


def test_simple_choices_come_first_and_every_stage_leaves_a_key(finished):
    first = [t.evaluation for t in finished.trials[:2]]
    assert [(e.baseline, str(e.candidate.precision)) for e in first] == [(True, "fp32"), (True, "int8")]
    assert all(e.candidate.is_teacher for e in first)
    for trial in by_outcome(finished, Outcome.COMPLETE):
        names = {stage.name for stage in trial.evaluation.stages}
        assert names >= {"export", "compile", "score", "measure"}
        assert set(trial.evaluation.metrics) >= {"accuracy", "latency_ms", "size_bytes", "memory_bytes"}


def test_finalists_are_scored_on_test_and_timed_against_the_simple_choice(finished):
    assert finished.baseline is not None
    assert finished.baseline in {f.number for f in finished.finalists}
    others = [f for f in finished.finalists if f.number != finished.baseline]
    assert others
    assert all(f.ratio_to_baseline is not None and f.ratio_to_baseline.value < 1 for f in others)
    assert all("test samples" in f.metrics["accuracy"].how for f in finished.finalists)


def test_optuna_reads_the_study_unmodified(limited):
    study = optuna.load_study(study_name="blobs", storage=limited.places.storage.kept)
    assert study.metric_names == ["accuracy", "latency_ms", "size_bytes"]
    assert len(study.directions) == 3
    complete = [t for t in study.trials if t.state is optuna.trial.TrialState.COMPLETE]
    assert complete
    assert all("size <= 2 kB" in trial.constraints for trial in complete)


def test_limits_relative_to_the_teacher_have_their_own_bound_on_test(limited):
    _, limit = limited.record.limits
    teacher = limited.record.trials[0].evaluation.metrics["accuracy"].value
    assert limit.bound == pytest.approx(teacher - 0.02)
    assert limit.bound_on_test is not None


def test_no_student_is_trained_twice_in_one_study_or_across_two(bench):
    space = {**STUDY["space"], "student": {"width": [4, 8]}, "precision": ["fp32", "int8"]}
    first = run_study(bench.study("one", space=space, budget={"trials": 6}, finalists=1)).record
    trained = trainings(first)
    assert len(trained) == len(set(trained)) == first.counters["trainings"] > 0
    assert first.counters["trainings"] < len(first.trials)
    other = {"sampler": "random", "seed": 0, "finalists": 1}
    again = run_study(bench.study("two", space=space, budget={"trials": 6}, **other)).record
    assert again.counters["complete"] == 6
    assert trainings(again) == []


def test_a_candidate_over_a_limit_is_measured_and_not_trained(bench):
    """In a store of its own: what another study has trained already is not held up."""
    space = {**STUDY["space"], "precision": ["fp32"]}
    asked = {"constraints": ["parameters <= 200"], "budget": {"trials": 12}, "finalists": 1}
    record = run_study(bench.study(space=space, sampler="random", **asked)).record
    gated = by_outcome(record, Outcome.GATED)
    assert gated
    for trial in gated:
        assert "Parameters" in trial.evaluation.reason
        assert "latency_ms" in trial.evaluation.gate
        assert not [s for s in trial.evaluation.stages if s.name == "distill"]
    trained = {
        dict(t.evaluation.candidate.student).get("width")
        for t in by_outcome(record, Outcome.COMPLETE)
        if not t.evaluation.candidate.is_teacher
    }
    assert trained == {4, 8}


def test_the_search_ends_when_the_space_is_exhausted_and_duplicates_are_answered_from_the_record(
    bench, shared_store
):
    space = {"student": {"width": [4, 8]}, "precision": ["fp32", "int8"], "backend": ["toy"]}
    asked = {"budget": {"trials": 500}, "sampler": "random", "finalists": 1}
    record = run_study(bench.study(store=shared_store, space=space, **asked)).record
    assert record.stopped == "every candidate of the space was evaluated"
    assert len({t.evaluation.candidate.digest for t in record.trials}) == 6
    assert record.counters["candidates"] == 6
    repeated = [t for t in record.trials if t.duplicate_of is not None]
    assert repeated
    for trial in repeated:
        original = next(t for t in record.trials if t.number == trial.duplicate_of)
        assert trial.evaluation == original.evaluation


@pytest.mark.parametrize("sampler", ["nsga2", "gp"])  # others use random
def test_other_samplers(bench, shared_store, sampler):
    asked = {"sampler": sampler, "budget": {"trials": 4}, "finalists": 1}
    record = run_study(bench.study(store=shared_store, **asked)).record
    assert record.counters["complete"] == 4


def test_a_larger_budget_goes_on_and_a_changed_problem_is_refused(bench, shared_store):
    first = run_study(bench.study(store=shared_store, budget={"trials": 3}, finalists=1)).record
    second = run_study(bench.study(store=shared_store, budget={"trials": 5}, finalists=1)).record
    assert second.trials[: len(first.trials)] == first.trials
    assert second.counters["complete"] == 5
    with pytest.raises(UserError, match=r"describes another problem[\s\S]*constraints"):
        run_study(bench.study(store=shared_store, constraints=["size <= 1 MB"]))
    assert open_run(bench.root / "runs" / "blobs")[0].counters["complete"] == 5


def test_a_study_whose_making_was_killed_is_made_again(bench, shared_store):
    (bench.root / "runs" / "blobs").mkdir(parents=True)
    storage = f"sqlite:///{bench.root / 'runs' / 'blobs' / 'study.db'}"
    optuna.create_study(study_name="blobs", storage=storage, directions=["minimize"])
    record = run_study(bench.study(store=shared_store, budget={"trials": 2}, finalists=1)).record
    assert record.counters["candidates"] == 2


def test_a_study_that_somebody_else_made_is_refused(bench, shared_store):
    (bench.root / "runs" / "blobs").mkdir(parents=True)
    storage = f"sqlite:///{bench.root / 'runs' / 'blobs' / 'study.db'}"
    optuna.create_study(study_name="blobs", storage=storage).optimize(lambda trial: 1.0, n_trials=1)
    with pytest.raises(UserError, match="did not make"):
        run_study(bench.study(store=shared_store))


def test_a_metric_of_the_users_own_that_is_better_when_lower(bench):
    text = (bench.root / "blobs.py").read_text()
    text = text.replace("import Split,", "import Metric, Split,").replace(
        "student=lambda",
        'metric=Metric(name="error", function=lambda out, y: float((out.argmax(-1) != y).mean()), '
        "higher_is_better=False), student=lambda",
    )
    (bench.root / "blobs.py").write_text(text)
    record = run_study(bench.study(constraints=["error <= 0.5"], budget={"trials": 2}, finalists=1)).record
    assert record.quality == "error"
    assert record.objectives[0].metric == "error"
    assert not record.objectives[0].higher_is_better
    assert any(t.evaluation.feasible for t in record.trials)


def test_the_record_survives_as_json(finished):
    from paretune.search.record.evaluation import STUDY_RECORD

    text = STUDY_RECORD.dump_json(finished)
    assert STUDY_RECORD.validate_json(text) == finished
    assert json.loads(text)["name"] == "blobs"


def test_an_ended_search_keeps_its_finalists_and_measures_them_when_the_time_is_over(bench, shared_store):
    study = bench.study(store=shared_store, budget={"trials": 3})
    assert run_study(study).record.finalists
    stop = StopFlag()
    stop.request()
    interrupted = run_study(study, stop=stop, again=True).record
    assert interrupted.finalists, "what was confirmed stays"

    late = bench.study(store=shared_store, budget={"time": "1 ms"})
    record = run_study(late, again=True).record
    assert record.stopped == "the budget of 0.001 s is used up"
    assert record.finalists
    assert {f.number for f in record.finalists} <= {t.number for t in record.trials}


def test_a_time_that_is_too_short_still_evaluates_the_teacher(bench, shared_store):
    record = run_study(bench.study(store=shared_store, budget={"time": "1 ms"})).record
    assert record.counters["candidates"] == 1
    assert [f.number for f in record.finalists] == [0] == [record.baseline]


def test_a_stop_that_was_asked_for_is_no_attempt_that_died(bench):
    space = {"student": {"width": [4]}, "precision": ["fp32"], "backend": ["toy"]}
    # Hardware-first would be stopped while it measures, before the candidate's own evaluation begins.
    run_study(bench.study(space=space, budget={"trials": 1}, sampler="random"))
    study = bench.study(space=space, budget={"trials": 2}, sampler="random")
    seen = []
    for _ in range(4):
        stop = StopFlag()
        run_study(study, StopAtOnce(stop, seen), stop)
    assert len(set(seen)) == 1, "the same candidate was interrupted each time"
    record = run_study(study).record
    assert record.counters["complete"] == 2
    assert record.counters["failed"] == 0


class StopAtOnce(Progress):
    """Asks for a stop when the first stage of a candidate begins, as Ctrl-C in the middle of it would."""

    def __init__(self, flag, seen):
        self.flag, self.seen = flag, seen

    def started(self, number, candidate):
        self.seen.append(candidate.title)

    def stage(self, name):
        self.flag.request()
