"""What a retarget refuses before anything runs, which runs belong together, and what it starts from."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.estimated import Estimated
from paretune.search.record.evaluation import (
    Evaluation,
    Objective,
    Outcome,
    Quantity,
    StageRecord,
    StudyRecord,
    TrialRecord,
)
from paretune.search.record.training import training_key
from paretune.search.record.treatment import QatPlan, Treatment
from paretune.search.run.fleet_runs import devices_asked, fill_command, first_record, first_run, fleet_runs
from paretune.search.run.retarget import Retarget, first_study, retarget_job, retarget_study, trained_in

from .test_warm_start import Bench, complete, tell

pytestmark = pytest.mark.slow

DEVICE = {
    "name": "board",
    "title": "a board",
    "cpu": {
        "model": "board",
        "architecture": "x86-64",
        "cores": 1,
        "threads": 1,
        "instruction_sets": [],
        "memory_bytes": {"value": 1e9, "source": "made up for the test"},
        "source": "made up for the test",
    },
    "reach": {"kind": "local"},
}


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    for name in ("board", "pi"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({**DEVICE, "name": name}))
    return Bench(tmp_path)


def run_of(bench: Bench, name: str = "first", **changes: object) -> Path:
    """A study as a run leaves it, and the directory of that run."""
    job = bench.job(name, **changes)
    studies = tell(job, complete(job, 8, 0.9))
    del studies
    run_dir = job.places.run_dir
    plain = json.loads((run_dir / "run.json").read_text())
    plain["study_file"] = str(job.places.study_file)
    (run_dir / "run.json").write_text(json.dumps(plain))
    return run_dir


def refused(path: Path, profile: str, *where: str) -> UserError:
    with pytest.raises(UserError) as caught:
        retarget_study(path, profile, where)
    return caught.value


def test_a_study_that_was_not_run_has_nothing_to_retarget(bench: Bench) -> None:
    bench.job("first")
    assert "was not run yet" in refused(bench.root / "first.yaml", "board.yaml").problem


def test_its_own_device_is_none_to_retarget_to(bench: Bench) -> None:
    run_dir = run_of(bench)
    for path in (run_dir, bench.root / "first.yaml"):
        assert "is the device of the study" in refused(path, "host").problem


def test_another_problem_than_was_run_is_refused_with_what_changed(bench: Bench) -> None:
    run_of(bench)
    bench.job("first", seed=3)
    assert refused(bench.root / "first.yaml", "board.yaml").found == "seed changed since"
    (bench.root / "rows.txt").write_text("13")
    bench.job("first")
    assert refused(bench.root / "first.yaml", "board.yaml").found == "data changed since"


def test_a_run_needs_its_study_file_under_its_own_name(bench: Bench) -> None:
    run_dir = run_of(bench)
    file = bench.root / "first.yaml"
    file.write_text(file.read_text().replace("name: first", "name: other"))
    assert "names another study" in refused(run_dir, "board.yaml").problem
    file.unlink()
    assert "is gone" in refused(run_dir, "board.yaml").problem


def test_a_retargeted_study_lies_beside_the_first_under_a_name_of_its_own(bench: Bench) -> None:
    run_dir = run_of(bench, constraints=["latency <= 5 ms", "size <= 1 MB"])
    first = first_study(run_dir)
    job = retarget_job(first.study_file, first.name, "board.yaml", ["latency <= 9 ms"])
    assert (job.file.name, job.of, job.profile.name) == ("first-on-board", "first", "board")
    assert job.places.run_dir == run_dir.parent / "first-on-board"
    assert [limit.text for limit in job.limits] == ["size <= 1 MB", "latency <= 9 ms"]
    assert job.places.store == bench.job("first", constraints=[]).places.store
    assert job.problem()["retargets"] == "first"
    assert "retargets" not in bench.job("first").problem()


def test_another_run_in_its_place_is_refused(bench: Bench) -> None:
    run_of(bench)
    run_of(bench, "first-on-board")
    assert "another study has the name" in refused(bench.root / "first.yaml", "board.yaml").problem


def retargeted(bench: Bench, profile: str, of: str = "first", **changes: object) -> Path:
    job = retarget_job(bench.root / f"{of}.yaml", of, f"{profile}.yaml")
    tell(job, complete(job, 8, 0.9))
    plain = {
        "name": job.file.name, "storage": "", "study_file": str(job.places.study_file),
        "of": of, "profile": f"{profile}.yaml",
    }  # fmt: skip
    (job.places.run_dir / "run.json").write_text(json.dumps(plain))
    return job.places.run_dir


def test_other_limits_than_it_was_begun_with_are_refused(bench: Bench) -> None:
    run_of(bench, constraints=["latency <= 5 ms"])
    retargeted(bench, "board")
    error = refused(bench.root / "first.yaml", "board.yaml", "latency <= 9 ms")
    assert (error.found, error.accepted) == ("latency <= 9 ms", "latency <= 5 ms")


def test_another_device_of_the_same_name_is_refused(bench: Bench) -> None:
    run_of(bench)
    retargeted(bench, "board")
    cpu = {**DEVICE["cpu"], "model": "another"}  # type: ignore[dict-item]
    (bench.root / "board.yaml").write_text(yaml.safe_dump({**DEVICE, "cpu": cpu}))
    assert "on another device of the name" in refused(bench.root / "first.yaml", "board.yaml").problem


def test_a_retargeted_run_leads_to_its_first_study(bench: Bench) -> None:
    run_dir = run_of(bench)
    board = retargeted(bench, "board")
    assert first_run(board) == first_run(bench.root / "first.yaml") == run_dir
    assert first_study(board).name == "first"
    assert first_study(board).record is None  # it holds none yet


# -- what it starts from -----------------------------------------------------------------------------------

RECIPE = Recipe(epochs=3, finetune_epochs=1)


def candidate(width: int, sparsity: str = "dense") -> Candidate:
    student = (("width", width),)
    return Candidate(
        backend="ort", precision=Precision.INT8, student=student, sparsity=sparsity, recipe=RECIPE
    )


def trial(number: int, of: Candidate, *stages: str, **more: object) -> TrialRecord:
    found = tuple(StageRecord(name=name, key=name, cached=False, seconds=1.0) for name in stages)
    metrics = {
        "accuracy": Quantity(value=0.9 + number / 100),
        "latency_ms": Quantity(value=1.0 + number),
        "size_bytes": Quantity(value=1e3),
    }
    evaluation = Evaluation(candidate=of, outcome=Outcome.COMPLETE, stages=found, metrics=metrics)
    return TrialRecord(number=number, evaluation=replace(evaluation, **more), started=0.0, seconds=1.0)  # type: ignore[arg-type]


def record(*trials: TrialRecord) -> StudyRecord:
    return StudyRecord(
        name="first", study_text="", workload="w", profile="host", quality="accuracy", limits=(),
        trials=trials, objectives=(
            Objective(metric="accuracy", higher_is_better=True),
            Objective(metric="latency_ms", higher_is_better=False),
        ),
    )  # fmt: skip


def test_only_trainings_that_came_to_their_end_count_as_trained() -> None:
    given_up = trial(1, candidate(8), "distill", outcome=Outcome.GATED, stopped_epoch=2)
    half = trial(2, candidate(4, "channel:0.5"), "distill", outcome=Outcome.FAILED)
    whole = trial(3, candidate(4, "unstructured:0.5"), "distill", "prune")
    crashed = trial(4, candidate(16), "distill", outcome=Outcome.FAILED)
    found = trained_in(record(trial(0, candidate(4), "distill"), given_up, half, whole, crashed))
    wanted = [candidate(4), candidate(4, "unstructured:0.5"), candidate(16)]
    assert found == {training_key(one) for one in wanted}


class _Weights:
    """Models of which nothing but fake-quantized weights is asked."""

    def __init__(self, has: bool) -> None:
        self._has = has

    def kept(self, space: object) -> None:
        return None

    def has(self, candidate: Candidate, qat: QatPlan | None) -> bool:
        return self._has or qat is None


@pytest.mark.parametrize(("has", "carried"), [(True, 2), (False, 1)])
def test_treatments_are_carried_over_as_far_as_their_weights_are_there(has: bool, carried: int) -> None:
    plan = QatPlan(weight_bits=8, activation_bits=8, epochs=4)
    trials = [
        trial(0, candidate(4)),
        trial(1, candidate(8), treatment=Treatment(keep_float=("head",))),
        trial(2, candidate(16), treatment=Treatment(qat=plan)),
    ]
    kind = Retarget("first", record(*trials))
    kind.space(None, _Weights(has))  # type: ignore[arg-type]
    assert len(kind.treated()) == carried
    assert candidate(4).digest not in kind.treated()


# -- the runs of a fleet -----------------------------------------------------------------------------------


def test_the_text_of_a_fleet_names_devices_with_shares(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    run_dir = run_of(bench)
    for profile in ("board", "pi"):
        retargeted(bench, profile)
    run_of(bench, "alien")
    (run_dir.parent / "broken").mkdir()
    (run_dir.parent / "broken" / "run.json").write_text("{")
    names = {"first": "host", "first-on-board": "board", "first-on-pi": "pi"}
    monkeypatch.setattr(
        "paretune.search.run.fleet_runs.record_of",
        lambda url, name: replace(
            record(), name=name, profile=names[name], retargets="" if name == "first" else "first"
        ),
    )
    runs = fleet_runs(run_dir)
    assert set(runs.runs) == {"host", "board", "pi"}
    assert len(runs.skipped) == 1
    assert devices_asked(runs, "all") == {"host": 1.0, "board": 1.0, "pi": 1.0}
    assert devices_asked(runs, " pi = 1000, host=.5 ") == {"pi": 1000.0, "host": 0.5}
    assert devices_asked(runs, "board.yaml,pi") == {"board": 1.0, "pi": 1.0}
    for text in (
        "",
        "pi",
        "pi,pi",
        "pi,board.yaml,board",
        "pi,alien",
        "pi=0,host",
        "pi=x,host",
        "pi=,host",
        "pi,",
    ):
        with pytest.raises(UserError) as caught:
            devices_asked(runs, text)
        assert caught.value.place == "--devices"
    there = runs.runs["pi"]
    away = replace(there, record=replace(there.record, estimated=Estimated(device="Pi")))
    mixed = replace(runs, runs={**runs.runs, "pi": away})
    assert set(devices_asked(mixed, "all")) == {"host", "board"}
    with pytest.raises(UserError, match="no answer in common"):
        devices_asked(mixed, "host,pi")
    assert fill_command(mixed, "pi").endswith("--estimate")
    assert "--profile pi.yaml" in fill_command(runs, "pi")
    assert fill_command(runs, "host").startswith("paretune run ")
    board = runs.runs["board"]
    found = first_record(board.record, board.run_dir)
    assert found is not None
    assert found.profile == "host"
    assert first_record(runs.runs["host"].record, run_dir) is None
