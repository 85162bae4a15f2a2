"""Backends by name: ours, those of other packages, and what is asked of all of them."""

from importlib import metadata
from importlib.metadata import EntryPoint

import pytest
from paretune.backends.registry import (
    GROUP,
    availability,
    backend_names,
    backend_version,
    get_backend,
    offers,
    packages,
    plugins,
    probes,
)
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune_toy import ToyBackend

OURS = ("ort", "tflite", "trt", "openvino", "tvm")


def plugin(monkeypatch, name, value):
    """A package that names a backend in the entry point group."""
    entries = (EntryPoint(name, value, GROUP),)
    monkeypatch.setattr(metadata, "entry_points", lambda group: entries if group == GROUP else ())
    plugins.cache_clear()
    monkeypatch.setattr("paretune.backends.registry.plugins", plugins.__wrapped__)


def test_a_package_brings_a_backend(monkeypatch):
    plugin(monkeypatch, "brought", "paretune_toy:ToyBackend")
    assert backend_names() == (*OURS, "brought")
    assert get_backend("brought").theirs is ToyBackend
    assert get_backend("brought").calibration_methods == ToyBackend.calibration_methods
    assert all(row.offered for row in offers("brought", load_profile("nvidia-t4"))[:-1])
    assert backend_version("brought").startswith("1 ")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("ort", "mine:Mine", r"two packages bring a backend 'ort'(?s:.*)paretune and mine:Mine"),
        ("mine", "no_such_module:Mine", r"loading backend 'mine' of the package no_such_module:Mine raised"),
        ("mine", "json:JSONDecoder", "is not a backend"),
    ],
)
def test_a_broken_package_is_named(monkeypatch, name, value, message):
    plugin(monkeypatch, name, value)
    with pytest.raises(UserError, match=message):
        list(map(get_backend, backend_names()))


@pytest.mark.parametrize("name", OURS)
def test_each_room_is_whole(name):
    backend = get_backend(name)
    assert backend.name == name
    assert backend.title
    assert backend.packages
    assert backend.install.startswith("pip install")
    assert backend.beside("rules.yaml")
    assert "class Model" in backend.beside("run.py.in").read_text()


def test_what_is_noted_of_a_machine_are_the_runtimes_and_the_packages_with_backends(monkeypatch):
    plugin(monkeypatch, "brought", "paretune_toy:ToyBackend")
    found = packages()
    assert {"onnxruntime", "ai-edge-litert", "tensorrt", "tensorrt-rtx"} < set(found)
    assert len(found) == len(set(found))
    assert "onnxruntime" in {package for probe in probes() for package in probe.packages}


def test_a_damaged_package_hides_no_other(monkeypatch, tmp_path):
    for name, text in (
        ("bad", b"[paretune.backends]\n\xff = x:y\n"),
        ("nameless", b"[paretune.backends]\nown = json:X\n"),
    ):
        folder = tmp_path / f"{name}-1.dist-info"
        folder.mkdir()
        (folder / "entry_points.txt").write_bytes(b"[paretune.backends]\n" + text)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("paretune.backends.registry.plugins", plugins.__wrapped__)
    assert set(backend_names()) >= {*OURS, "own", "toy"}
    assert "json:X" in packages()
    assert "raised AttributeError" in availability("own").reason


def test_a_package_that_cannot_be_loaded_stops_nothing_else(monkeypatch):
    plugin(monkeypatch, "mine", "no_such_module:Mine")
    assert "onnxruntime" in packages()
    assert get_backend("ort").name == "ort"


def test_another_way_to_make_a_precision_is_another_version_of_it_alone():
    plain = backend_version("ort")
    assert backend_version("ort", Precision.INT8) == plain
    assert backend_version("ort", Precision.FP16) != plain
