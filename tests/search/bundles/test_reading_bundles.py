"""Bundles are foreign data: each is read as it was written, or refused with its place and what is wrong."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundle_folders import format_2, write_bundle
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.bundles.bundle import damages, read_bundle


def test_a_bundle_of_format_1_has_neither_samples_nor_reference(first: Path) -> None:
    bundle = read_bundle(first)
    assert (bundle.samples, bundle.reference) == (None, None)
    assert (bundle.version, bundle.batch, bundle.threads, bundle.precision) == (1, 2, 1, Precision.FP32)
    assert bundle.artifact == first / "model.onnx"
    assert (bundle.quality, bundle.split, bundle.higher_is_better) == ("rmse", "test", False)
    assert bundle.metrics["rmse"].ends == (0.4, 0.6)
    assert bundle.inputs[0].shape == (2, 4)
    assert damages(bundle) == {}


def test_a_bundle_of_format_2_has_both(second: Path) -> None:
    bundle = read_bundle(second)
    assert bundle.samples is not None
    assert bundle.reference is not None
    assert bundle.reference.ratio is not None
    arrays = bundle.samples.arrays()
    assert [*arrays.inputs, *arrays.outputs] == ["x", "y"]
    assert arrays.targets is not None
    assert len(arrays.targets) == bundle.samples.count == 3
    assert bundle.reference.path.read_bytes() == b"reference"
    assert bundle.reference.ratio.value == 0.5


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 3}, "newer version"),
        ({"format": "1"}, "format"),
        ({"format": 0}, "format"),
        ({"batch": 0}, "batch"),
        ({"batch": True}, "batch"),
        ({"threads": 10**9}, "threads"),
        ({"backend": ""}, "backend"),
        ({"precision": "int3"}, "precision"),
        ({"artifact": "other.onnx"}, "not among its files"),
        ({"artifact": None}, "artifact"),
        ({"inputs": []}, "inputs"),
        ({"inputs": [{"name": "x", "dtype": "float32", "shape": [2]}] * 2}, "twice"),
        ({"metrics": {"latency_ms": {"value": -1}}}, "latency_ms"),
        ({"metrics": {"rmse": {"value": float("nan")}}}, "rmse"),
        ({"metrics": {"rmse": {"value": 1, "low": 2, "high": 1}}}, "rmse"),
        ({"metrics": [1]}, "metrics"),
        ({"options": {"a": 1}}, "options"),
        ({"quality": {"metric": "rmse", "split": "train"}}, "quality"),
        ({"files": {"model.onnx": {"sha256": "x", "size_bytes": 1}}}, "sha256"),
        ({"versions": None, "quality": None}, "quality"),
    ],
)
def test_what_a_manifest_cannot_say_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    folder = write_bundle(tmp_path / "bundle", **changes)
    with pytest.raises(UserError, match=said) as refused:
        read_bundle(folder)
    assert refused.value.place == str(folder / "manifest.json")
    assert refused.value.found
    assert refused.value.remedy


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff\xfe", b"[" * 10**5, b'{"format": 1}', b"null", b'{"a": "\\ud800"}'],
)
def test_what_is_no_manifest_is_refused(first: Path, content: bytes) -> None:
    (first / "manifest.json").write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        read_bundle(first)


def test_where_no_bundle_lies_that_is_said(tmp_path: Path) -> None:
    for place in (tmp_path / "gone", tmp_path):
        with pytest.raises(UserError, match="no bundle here"):
            read_bundle(place)


def test_a_manifest_that_is_a_pipe_is_not_waited_for(first: Path) -> None:
    (first / "manifest.json").unlink()
    os.mkfifo(first / "manifest.json")
    with pytest.raises(UserError):
        read_bundle(first)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret", "link", "..\\secret", "a\0b"])
def test_paths_stay_inside_of_the_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "link").symlink_to("../secret")
    known = {name: {"sha256": "0" * 64, "size_bytes": 6}}
    with pytest.raises(UserError, match="no file of the bundle"):
        read_bundle(write_bundle(folder, artifact=name, files=known))


def test_damaged_files_are_named_with_what_is_wrong(second: Path) -> None:
    (second / "model.onnx").write_bytes(b"another")
    (second / "reference" / "model.onnx").unlink()
    found = damages(read_bundle(second))
    assert set(found) == {"model.onnx", "reference/model.onnx"}


@pytest.mark.parametrize(
    ("said", "arrays"),
    [
        ({"count": 4}, {}),
        ({}, {"input z": np.zeros(3)}),
        ({}, {"input x": np.zeros(3), "output y": np.zeros(3)}),  # no targets
        ({}, {"input x": np.array(3.0), "output y": np.zeros(3), "targets": np.zeros(3)}),
        ({}, {"input x": np.array([None] * 3), "output y": np.zeros(3), "targets": np.zeros(3)}),
    ],
)
def test_samples_that_are_not_what_is_said_are_refused(
    tmp_path: Path, said: dict[str, Any], arrays: dict[str, Any]
) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    if arrays:
        np.savez(folder / "samples.npz", **arrays)
    samples = read_bundle(write_bundle(folder, **format_2(folder, **said))).samples
    assert samples is not None
    with pytest.raises(UserError, match="samples are damaged"):
        samples.arrays()


def test_samples_that_somebody_changed_are_refused(second: Path) -> None:
    samples = read_bundle(second).samples
    assert samples is not None
    (second / "samples.npz").write_bytes(b"PK")
    with pytest.raises(UserError, match="not the file"):
        samples.arrays()
    (second / "samples.npz").unlink()
    with pytest.raises(UserError, match="samples are damaged"):
        samples.arrays()


def test_samples_of_other_outputs_than_the_artifacts_are_refused(tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    with pytest.raises(UserError, match=r"samples\.outputs"):
        read_bundle(write_bundle(folder, **format_2(folder, outputs=["other"])))


def test_what_later_versions_add_is_passed_over(first: Path) -> None:
    manifest = json.loads((first / "manifest.json").read_text())
    (first / "manifest.json").write_text(json.dumps({**manifest, "later": {"a": 1}}))
    assert read_bundle(first).study == "digits"
