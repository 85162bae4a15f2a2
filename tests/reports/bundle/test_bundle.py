"""Bundles with real artifacts: exported from a real store, checked, run by their own script."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_folders import run_isolated
from contracts.stored_artifacts import ARTIFACT, TABLE, WEIGHTS, onnx_file
from paretune.backends.registry import get_backend
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.reports.bundle.write import export_bundle
from paretune.search.record.evaluation import Outcome, StudyRecord
from paretune.search.store.store import Store, content_key


def manifest_of(path: Path) -> dict[str, Any]:
    """A bundle's manifest, each file of which has the hash that is said there."""
    manifest: dict[str, Any] = json.loads((path / "manifest.json").read_text())
    for name, item in manifest["files"].items():
        assert hashlib.sha256((path / name).read_bytes()).hexdigest() == item["sha256"], name
    return manifest


def test_a_bundle_holds_all_that_is_promised(exportable: StudyRecord, tmp_path: Path) -> None:
    path = export_bundle(exportable, 0, tmp_path / "out" / "bundle")
    assert sorted(p.name for p in path.iterdir()) == [
        "README.md", "expected.npz", "manifest.json", "model.onnx", "requirements.txt", "run.py",
        "sample.npz",
    ]  # fmt: skip
    manifest = manifest_of(path)
    assert manifest["trial"] == 0
    assert manifest["configuration"]["backend"] == "ort"
    assert manifest["inputs"] == [{"name": "x", "dtype": "float32", "shape": [2, 4]}]
    assert manifest["outputs"] == [{"name": "output", "dtype": "float32", "shape": [2, 3]}]
    assert manifest["batch"] == 2
    assert set(manifest["metrics"]["latency_ms"]) == {"value", "low", "high", "provenance", "how"}
    assert manifest["versions"] == {"onnxruntime": "1.31.1"}
    assert set(manifest["files"]) == {p.name for p in path.iterdir()} - {"manifest.json"}
    assert (manifest["sample"], manifest["expected"]) == ("sample.npz", "expected.npz")
    assert (path / "requirements.txt").read_text() == "numpy>=1.26\nonnxruntime==1.31.1\n"
    assert manifest["artifact"] == "model.onnx"


def of_backend(record: StudyRecord, name: str) -> StudyRecord:
    """The study as if its first trial had been made by another backend."""
    return of_candidate(record, backend=name)


def of_candidate(record: StudyRecord, **fields: Any) -> StudyRecord:
    first, *others = record.trials
    candidate = replace(first.evaluation.candidate, **fields)
    evaluation = replace(first.evaluation, candidate=candidate)
    return replace(record, trials=(replace(first, evaluation=evaluation), *others))


def test_a_file_as_it_came_says_what_was_said_of_it(exportable: StudyRecord, tmp_path: Path) -> None:
    study = replace(exportable, remarks=("'x' is int8 in the file: 0.05 * (q + 3)",))
    plain = export_bundle(study, 0, tmp_path / "plain")
    given = export_bundle(of_candidate(study, precision=Precision.GIVEN), 0, tmp_path / "given")
    told = [study.remarks[0] in (path / "README.md").read_text() for path in (plain, given)]
    assert told == [False, True]


def test_a_backend_of_ones_own_is_bundled_by_its_own_script(
    exportable: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run.py.in").write_text(get_backend("ort").beside("run.py.in").read_text() + "MINE = 1\n")
    (tmp_path / "mine_here.py").write_text(
        "from paretune.backends.ort.backend import OrtBackend\n\n\n"
        "class Mine(OrtBackend):\n    packages = ('my-runtime', 'onnxruntime')\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    path = export_bundle(of_backend(exportable, "mine_here:Mine"), 0, tmp_path / "bundle")
    assert "MINE = 1" in (path / "run.py").read_text()
    assert (path / "requirements.txt").read_text() == "numpy>=1.26\nonnxruntime==1.31.1\n"
    assert run_isolated(path).returncode == 0


def test_a_backend_without_a_script_is_not_bundled(
    exportable: StudyRecord, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bare_here.py").write_text(
        "from paretune.backends.contract import Backend\n\n\n"
        "class Bare(Backend):\n    name = 'bare'\n    availability = compile = open = None\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match="cannot be deployed"):
        export_bundle(of_backend(exportable, "bare_here:Bare"), 0, tmp_path / "bundle")


def test_the_script_runs_any_number_of_rows_in_onnxruntime(exportable: StudyRecord, tmp_path: Path) -> None:
    path = export_bundle(exportable, 0, tmp_path / "bundle")
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    np.savez(tmp_path / "in.npz", x=rows)
    done = run_isolated(path, str(tmp_path / "in.npz"), "-o", str(tmp_path / "out.npz"), "--time", "5")
    assert done.returncode == 0, done.stderr
    assert "output: float32 [5, 3]" in done.stdout
    assert "latency of batch 2: median" in done.stdout
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_allclose(out["output"], rows @ WEIGHTS, rtol=1e-5)


def test_the_script_gives_what_is_expected_of_the_sample(exportable: StudyRecord, tmp_path: Path) -> None:
    for number in (0, 3):
        path = export_bundle(exportable, number, tmp_path / f"bundle-{number}")
        done = run_isolated(path, "-o", str(tmp_path / "out.npz"))
        assert done.returncode == 0, done.stderr
        with np.load(tmp_path / "out.npz") as out, np.load(path / "expected.npz") as expected:
            assert set(out.files) == set(expected.files)
            np.testing.assert_allclose(out["output"], expected["output"], rtol=1e-6)


def test_an_entry_without_expected_outputs_is_exported_without_them(
    exportable: StudyRecord, tmp_path: Path
) -> None:
    root = Path(exportable.store)

    def make(into: Path) -> dict[str, object]:
        onnx_file(into / "model.onnx")
        return {"file": "model.onnx", "inputs": [], "outputs": [], "artifact": ARTIFACT}

    key = content_key("compile", 1, {"old": True})
    Store(root).produce("compile", key, {}, make)
    first, *others = exportable.trials
    first = replace(first, evaluation=replace(first.evaluation, artifact_key=key))
    path = export_bundle(replace(exportable, trials=(first, *others)), 0, tmp_path / "bundle")
    manifest = manifest_of(path)
    assert (manifest["sample"], manifest["expected"]) == (None, None)
    assert "expected" not in (path / "README.md").read_text()


def test_the_script_gives_int64_tokens_to_an_int32_model(exportable: StudyRecord, tmp_path: Path) -> None:
    path = export_bundle(exportable, 3, tmp_path / "bundle")
    done = run_isolated(path, "-o", str(tmp_path / "out.npz"))
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["output"][0], TABLE[[0, 4, 2]])
    tokens = np.array([[1, 1, 1], [0, 2, 3]], dtype=np.int64)
    np.savez(tmp_path / "in.npz", tokens=tokens)
    done = run_isolated(path, str(tmp_path / "in.npz"), "-o", str(tmp_path / "out.npz"))
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_array_equal(out["output"], TABLE[tokens])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"tokens": np.array([[0, 2**40, 1]])}, "do not fit into int32"),
        ({"tokens": np.zeros((1, 7), np.int64)}, "has shape [1, 7], the model takes [rows, 3]"),
        ({"words": np.zeros((1, 3), np.int64)}, "has the arrays ['words'], the model takes ['tokens']"),
        ({"tokens": np.zeros((0, 3), np.int64)}, "at least one"),
    ],
)
def test_the_script_refuses_wrong_inputs_in_one_line(
    exportable: StudyRecord, tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    path = export_bundle(exportable, 3, tmp_path / "bundle")
    np.savez(tmp_path / "in.npz", **arrays)
    done = run_isolated(path, str(tmp_path / "in.npz"))
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_the_script_refuses_a_damaged_artifact(exportable: StudyRecord, tmp_path: Path) -> None:
    path = export_bundle(exportable, 0, tmp_path / "bundle")
    with (path / "model.onnx").open("ab") as file:
        file.write(b"x")
    done = run_isolated(path)
    assert done.returncode == 1
    assert "'model.onnx' is not the file that was exported" in done.stderr


def test_a_directory_that_is_not_empty_is_refused_and_kept(exportable: StudyRecord, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="not empty"):
        export_bundle(exportable, 0, tmp_path / "bundle")
    assert (tmp_path / "bundle" / "mine.txt").read_text() == "keep"


def test_an_empty_directory_is_used(exportable: StudyRecord, tmp_path: Path) -> None:
    (tmp_path / "bundle").mkdir()
    assert manifest_of(export_bundle(exportable, 0, tmp_path / "bundle"))["trial"] == 0


def test_only_complete_trials_can_be_exported(exportable: StudyRecord, tmp_path: Path) -> None:
    failed = next(t.number for t in exportable.trials if t.evaluation.outcome is Outcome.FAILED)
    with pytest.raises(UserError, match=r"has no artifact to export[\s\S]*out of memory"):
        export_bundle(exportable, failed, tmp_path / "bundle")
    with pytest.raises(UserError, match="no trial 999"):
        export_bundle(exportable, 999, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_an_artifact_that_the_store_lost_is_said_so(exportable: StudyRecord, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no longer has the artifact of trial 1\b"):
        export_bundle(exportable, 1, tmp_path / "bundle")
    gone = replace(exportable, store=str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="no longer has the artifact"):
        export_bundle(gone, 0, tmp_path / "bundle")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["store"]


def test_nothing_is_left_behind_when_writing_fails(exportable: StudyRecord, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        export_bundle(exportable, 0, tmp_path / "file" / "bundle")


def test_a_repeated_trial_exports_the_one_that_it_repeats(exportable: StudyRecord, tmp_path: Path) -> None:
    trials = (*exportable.trials, replace(exportable.trials[0], number=60, duplicate_of=0))
    path = export_bundle(replace(exportable, trials=trials), 60, tmp_path / "bundle")
    assert manifest_of(path)["trial"] == 0


def test_a_title_cannot_break_out_of_the_script(exportable: StudyRecord, tmp_path: Path) -> None:
    trials = list(exportable.trials)
    candidate = replace(trials[0].evaluation.candidate, student=(("w", '"""\nimport os; os.abort()\n"""\\'),))
    trials[0] = replace(trials[0], evaluation=replace(trials[0].evaluation, candidate=candidate))
    path = export_bundle(replace(exportable, trials=tuple(trials)), 0, tmp_path / "bundle")
    done = run_isolated(path)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_script_runs_in_a_fresh_environment(exportable: StudyRecord, tmp_path: Path) -> None:
    path = export_bundle(exportable, 0, tmp_path / "bundle")
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "venv")], check=True, timeout=120)
    python = tmp_path / "venv" / "bin" / "python"
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [python, "-m", "pip", "install", "-q", "-r", str(path / "requirements.txt")],
        check=True, timeout=280, env=clean,
    )  # fmt: skip
    there = subprocess.run(
        [python, "-I", "-c", "from importlib.util import find_spec as f; print(f('torch'), f('paretune'))"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert there.stdout.split() == ["None", "None"]
    done = subprocess.run(
        [python, "-I", str(path / "run.py"), "-o", str(tmp_path / "out.npz")],
        capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "out.npz") as out:
        np.testing.assert_allclose(out["output"], np.ones((2, 4), np.float32) @ WEIGHTS, rtol=1e-5)


def test_the_manifest_is_strict_json(exportable: StudyRecord, tmp_path: Path) -> None:
    path = export_bundle(exportable, 3, tmp_path / "bundle")

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    manifest = json.loads((path / "manifest.json").read_text(), parse_constant=refuse)
    assert manifest["quality"]["metric"] == "accuracy"
