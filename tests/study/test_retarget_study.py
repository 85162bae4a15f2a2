"""A study that has run, retargeted: the same models on another device, and nothing is trained."""

import shutil

import pytest
import yaml
from paretune.profiles.precision import Precision
from paretune.search.ranking.ranking import rank
from paretune.search.record.evaluation import Outcome
from paretune.search.record.progress import Progress
from paretune.search.record.training import TRAINING_STAGES, training_key
from paretune.search.run.fleet_runs import fleet_runs
from paretune.search.run.restore import with_artifact
from paretune.search.run.retarget import retarget_study, trained_in
from paretune.search.run.session import run_study
from paretune.search.stages.models import trainer
from paretune.search.store.store import Store

from .test_warm_start_study import DEVICE

pytestmark = pytest.mark.slow

TRAINED = ("teacher", "soft-targets", "distill", "prune", "qat")


@pytest.fixture(scope="module")
def first(bench_in, tmp_path_factory):
    """A study with sparse students and quantization-aware training, and profiles of two other devices."""
    bench = bench_in(tmp_path_factory.mktemp("retarget"))
    for name in ("board", "pi"):
        (bench.root / f"{name}.yaml").write_text(yaml.safe_dump({**DEVICE, "name": name}))
    space = {
        "student": {"width": [8]},
        "sparsity": ["dense", "channel:0.3"],
        "precision": ["fp32", "int4-weight"],
        "backend": ["toy"],
    }
    ladder = {"worth": 0, "allowed_loss": 0.001, "time": "60 s", "rungs": ["qat"]}
    limits = ["size <= 1 MB", "latency <= 200 % of teacher"]
    path = bench.study(
        "first",
        space=space,
        ladder=ladder,
        constraints=limits,
        stop="never",
        budget={"trials": 6},
        finalists=1,
    )
    return bench, path, run_study(path).record


def made(bench):
    """What training has made: the entries of the store and when."""
    root = bench.root / ".paretune" / "store"
    return {path: path.stat().st_mtime_ns for stage in TRAINED for path in sorted(root.glob(f"{stage}/*"))}


def complete(record):
    return [t.evaluation for t in record.trials if t.ended(Outcome.COMPLETE)]


def test_nothing_is_trained_and_what_was_on_the_front_comes_first(first, monkeypatch):
    bench, path, record = first
    before, trainings = made(bench), []
    monkeypatch.setattr(trainer, "train", lambda *args, **more: trainings.append(args))

    again = retarget_study(path, "board.yaml", ["latency <= 300 % of teacher"]).record
    assert trainings == []
    assert made(bench) == before
    assert again.counters["trainings"] == again.counters["qat_trainings"] == 0
    stages = [stage for evaluation in complete(again) for stage in evaluation.stages]
    assert all(stage.cached for stage in stages if stage.name in TRAINING_STAGES)
    assert any(stage.name in TRAINING_STAGES for stage in stages)

    assert (again.name, again.profile, again.retargets) == ("first-on-board", "board", "first")
    assert [limit.text for limit in again.limits] == [record.limits[0].text, "latency <= 300 % of teacher"]
    trained = trained_in(record)
    candidates = [evaluation.candidate for evaluation in complete(again)]
    assert all(c.is_teacher or training_key(c) in trained for c in candidates)

    numbers = {trial.number: trial.evaluation.candidate for trial in record.trials}
    wanted = [numbers[e.number] for e in rank(record).entries if e.on_front]
    simple = [evaluation.candidate for evaluation in complete(again) if evaluation.baseline]
    proposed = [c for c in candidates if c not in simple]
    assert proposed[: len([c for c in wanted if c not in simple])] == [c for c in wanted if c not in simple]

    # The same weights with the same repair have the same quality, to the last digit.
    known = {(e.candidate, e.treatment): e.metrics[record.quality].value for e in complete(record)}
    both = [e for e in complete(again) if (e.candidate, e.treatment) in known]
    assert len(both) >= 3
    assert all(e.metrics[record.quality].value == known[e.candidate, e.treatment] for e in both)
    assert any(stage.name == "qat" for evaluation in complete(record) for stage in evaluation.stages)
    treated = {e.candidate: e.treatment for e in complete(record) if e.treatment.qat and not e.baseline}
    assert all(e.treatment == treated[e.candidate] for e in complete(again) if e.candidate in treated)

    assert retarget_study(
        path.parent / "runs" / "first", "board.yaml", ["latency <= 300 % of teacher"]
    ).unchanged
    assert set(fleet_runs(path).runs) == {record.profile, "board"}


def test_lost_weights_are_refused_and_lost_artifacts_made_again_on_the_other_device(first, monkeypatch):
    bench, path, record = first
    store, trainings = Store(bench.root / ".paretune" / "store"), []
    monkeypatch.setattr(trainer, "train", lambda *args, **more: trainings.append(args))
    shutil.rmtree(store.root / "prune")
    shutil.rmtree(store.root / "export")
    shutil.rmtree(store.root / "compile")

    end = retarget_study(path, "pi.yaml")
    assert trainings == []
    assert all(evaluation.candidate.sparsity == "dense" for evaluation in complete(end.record))
    lost = [masked for masked in end.record.masked if "gone from the store" in masked.reason]
    sparse = [key for key in trained_in(record) if key[1] != "dense"]
    assert bool(lost) == bool(sparse)

    student = next(
        t for t in end.record.trials
        if t.ended(Outcome.COMPLETE) and t.evaluation.candidate.precision is Precision.FP32
    )  # fmt: skip
    shutil.rmtree(store.root / "compile")
    restored = with_artifact(end.places.run_dir, end.record, student.number, Progress())
    assert Store(store.root).get("compile", student.evaluation.artifact_key) is not None
    assert restored.store == str(store.root)
    assert trainings == []
