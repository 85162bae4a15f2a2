"""What travels beside the artifact: samples with what it gave for them, and what latency is told against."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from bundle_folders import run_isolated
from contracts.stored_artifacts import WEIGHTS, stored
from paretune.profiles.precision import Precision
from paretune.profiles.quantity import Quantity
from paretune.reports.bundle import companions
from paretune.reports.bundle.companions import Beside
from paretune.reports.bundle.write import export_bundle
from paretune.search.bundles.bundle import Bundle, damages, read_bundle
from paretune.search.bundles.samples import SampleArrays, save_samples
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Finalist, Outcome, StudyRecord, TrialRecord
from paretune.search.store.store import Store, content_key

RATIO = Quantity(value=0.5, low=0.4, high=0.6)
SAMPLES = content_key("samples", 1, {})


def kept_samples(root: Path) -> None:
    """Five samples of the artifact for ONNX Runtime, as a study keeps them."""
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    arrays = SampleArrays(inputs={"x": rows}, outputs={"output": rows @ WEIGHTS}, targets=np.arange(5) % 3)

    def make(into: Path) -> dict[str, object]:
        save_samples(into / "samples.npz", arrays)
        (into / "monitor.json").write_text("{}")
        return {
            "file": "samples.npz", "monitor": "monitor.json", "count": 5, "outputs": ["output"],
            "primary": "output", "scored": ["output"], "as_array": True, "codes": {},
            "quality": asdict(Quantity(value=0.4)), "metric": "accuracy", "by": "built-in",
            "higher_is_better": True,
        }  # fmt: skip

    Store(root).produce("samples", SAMPLES, {}, make)


@pytest.fixture
def record(tmp_path: Path) -> StudyRecord:
    """The teacher for LiteRT as trial 0; trial 1 for ONNX Runtime, a finalist whose samples are kept."""
    root = tmp_path / "store"
    trials = []
    for number, backend in enumerate(("tflite", "ort")):
        evaluation = Evaluation(
            candidate=Candidate(backend=backend, precision=Precision.FP32),
            outcome=Outcome.COMPLETE,
            artifact_key=stored(root, backend),
            metrics={"latency_ms": Quantity(value=2.0), "accuracy": Quantity(value=0.5)},
            baseline=number == 0,
        )
        trials.append(TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0))
    kept_samples(root)
    return StudyRecord(
        name="study",
        study_text="",
        workload="w",
        profile="host",
        quality="accuracy",
        objectives=(),
        limits=(),
        trials=tuple(trials),
        finalists=(Finalist(number=1, metrics={"latency_ratio": RATIO}, samples=SAMPLES),),
        store=str(root),
        baseline=0,
    )


def bundle_of(record: StudyRecord, number: int, into: Path, beside: Beside = companions.USUAL) -> Bundle:
    return read_bundle(export_bundle(record, number, into / f"bundle-{number}", beside))


def test_samples_and_reference_travel_along(record: StudyRecord, tmp_path: Path) -> None:
    bundle = bundle_of(record, 1, tmp_path)
    assert bundle.samples is not None
    assert bundle.reference is not None
    assert (bundle.version, bundle.left_out, damages(bundle)) == (2, {}, {})
    assert (bundle.samples.count, bundle.samples.split, bundle.metric_by) == (5, "test", "built-in")
    np.testing.assert_array_equal(bundle.samples.arrays().targets, np.arange(5) % 3)
    assert (bundle.reference.backend, bundle.reference.ratio) == ("tflite", RATIO)
    assert bundle.reference.latency_ms == Quantity(value=2.0)
    assert bundle.reference.path == bundle.folder / "reference" / "model.tflite"


def test_the_script_checks_the_samples_with_numpy_and_the_runtime_alone(
    record: StudyRecord, tmp_path: Path
) -> None:
    folder = bundle_of(record, 1, tmp_path).folder
    done = run_isolated(folder, "--check")
    assert done.returncode == 0, done.stderr
    assert "output of 5 samples" in done.stdout
    assert "0 have another largest value" in done.stdout
    (folder / "samples.npz").write_bytes(b"PK")
    assert "not the file that was exported" in run_isolated(folder, "--check").stderr


def test_a_bundle_without_samples_says_so_when_it_is_to_check_them(
    record: StudyRecord, tmp_path: Path
) -> None:
    bundle = bundle_of(record, 1, tmp_path, Beside(samples=None, reference=False))
    assert (bundle.samples, bundle.reference) == (None, None)
    assert set(bundle.left_out) == {"samples", "reference"}
    assert "no samples" in run_isolated(bundle.folder, "--check").stderr


def test_the_teacher_is_told_against_another_finalist(record: StudyRecord, tmp_path: Path) -> None:
    reference = bundle_of(record, 0, tmp_path).reference
    assert reference is not None
    assert reference.ratio is not None
    assert reference.backend == "ort"
    assert (reference.ratio.value, reference.ratio.ends) == (2.0, pytest.approx((1 / 0.6, 1 / 0.4)))


def test_a_large_reference_travels_where_it_is_asked_for(
    record: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companions, "LARGEST_REFERENCE", 0)
    small = bundle_of(record, 1, tmp_path / "small")
    assert small.reference is None
    assert "--reference" in small.left_out["reference"]
    assert bundle_of(record, 1, tmp_path / "whole", Beside(reference=True)).reference is not None


def test_in_the_place_of_a_teacher_that_cannot_be_had_travels_the_strongest_simple_choice(
    record: StudyRecord, tmp_path: Path
) -> None:
    teacher, simple = record.trials
    lost = replace(teacher, evaluation=replace(teacher.evaluation, artifact_key="0" * 64))
    finalist = Finalist(number=2, metrics={"latency_ratio": RATIO}, ratio_to_baseline=Quantity(value=0.9))
    trials = (lost, simple, replace(simple, number=2))
    reference = bundle_of(
        replace(record, trials=trials, finalists=(finalist,), baseline=1), 2, tmp_path
    ).reference
    assert reference is not None
    assert (reference.backend, reference.ratio) == ("ort", Quantity(value=0.9))


def test_what_the_store_has_lost_is_named(record: StudyRecord, tmp_path: Path) -> None:
    lost = replace(record, finalists=(replace(record.finalists[0], samples="1" * 64),))
    left_out = bundle_of(lost, 1, tmp_path).left_out
    assert "store no longer" in left_out["samples"]
