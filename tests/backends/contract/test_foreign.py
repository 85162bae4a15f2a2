"""A backend of others' may declare, answer and raise anything: that is right, or one error with the line."""

import os
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
from paretune.backends.contract import Artifact, Availability, LayerGroup, Tuning
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.contract.foreign import Foreign
from paretune.backends.registry import get_backend
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.errors import StageError, UnsupportedError, UserError
from paretune.profiles.guard.user_code import UserCodeError
from paretune.profiles.guard.user_place import add_home
from paretune.profiles.precision import Precision

SPEED, VALUES = "'speed'", "('a', 'b')"
BUDGET = Tuning(trials=4, seconds=1.0)
HEAD = """
import os, sys
from pathlib import Path
from paretune.backends import contract
from paretune.profiles.errors import StageError, UnsupportedError, UserError

class Plain(contract.Backend):
    name, title, packages, install = "plain", "Plain", ("plain",), "pip install plain"
    def availability(self): return contract.Availability(installed=True, version="1")
    def precisions(self, profile): return ["fp32", "int8"]
    def compile(self, model, settings, calibration, into): raise ValueError("no")
    def open(self, artifact, batch, threads): raise ValueError("no")
    def layers(self, model, precision): return [contract.LayerGroup(name="a", layers=["a"], weights=3)]
"""


def option(name, values, more="when='open'"):
    return f"(contract.RuntimeOption(name={name}, values={values}, default='a', does='x', {more}),)"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Makes a backend of a module of somebody's own: `Plain` with this body, after these lines."""
    monkeypatch.syspath_prepend(str(tmp_path))
    add_home(tmp_path)
    name = f"own_{tmp_path.name}"

    def make(body="pass", before=""):
        text = HEAD + textwrap.dedent(before) + "\nclass Mine(Plain):\n" + textwrap.indent(body, "    ")
        (tmp_path / f"{name}.py").write_text(text + "\n")
        return get_backend(f"{name}:Mine")

    yield make
    sys.modules.pop(name, None)


def test_what_is_right_is_taken_in(load):
    found = load()
    assert isinstance(found, Foreign)
    assert (found.name, found.title, found.packages) == ("plain", "Plain", ("plain",))
    assert found.availability() == Availability(installed=True, version="1")
    assert found.precisions(load_profile("x86-avx2")) == (Precision.FP32, Precision.INT8)
    assert found.layers(SourceModel(path=Path("a"), format="onnx"), Precision.INT8) == (
        LayerGroup(name="a", layers=("a",), weights=3),
    )
    assert found.beside("rules.yaml") is None
    assert load() is found, "it is loaded once"


@pytest.mark.parametrize(
    "before",
    ["1 / 0", "sys.exit(0)", "os._exit(0)", "raise KeyboardInterrupt", "import no_such_module", "def x(:"],
)
def test_a_module_that_cannot_be_loaded(load, before):
    with pytest.raises(UserCodeError, match=r"own_.*\.py, line 14: loading backend 'own_"):
        load(before=before)


@pytest.mark.parametrize(
    "body", ["def __init__(self, x): pass", "def __init__(self): 1 / 0", "availability = 0"]
)
def test_a_class_that_cannot_be_made_or_answers_nothing(load, body):
    with pytest.raises(UserCodeError, match=r"own_.*\.py, line 1[56]: "):
        load(body).availability()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("name", value) for value in ("None", "''", "5", "b'x'")],
        *[("title", value) for value in ("5", "None", "['x']")],
        *[("packages", value) for value in ("'plain'", "None", "5", "[3]", "b'x'")],
        *[("source_format", value) for value in ("'../x'", "''", "'a b'", "None", "'x' * 99")],
        *[("calibration_methods", value) for value in ("()", "'minmax'", "['magic']", "None")],
        *[("weight_levels", value) for value in ("{'8': 3}", "{8: -1}", "{8: 1.5}", "[8]", "None")],
        *[("value_dependent", value) for value in ("['dense']", "{'sparse': 'x'}", "{'dense': 3}")],
        *[("fixed_batch", value) for value in ("'no'", "0", "None")],
        *[("compiles_on_device", value) for value in ("'no'", "1")],
        *[("exporters", value) for value in ("'torch'", "5")],
        *[("magic", value) for value in ("'TFL3'", "(4,)", "(4, 'TFL3')", "(-1, b'x')", "(0, b'x' * 999)")],
        *[("tunable", value) for value in ("'yes'", "1", "None")],
        *[("recipes", value) for value in ("{'fp16': 'one'}", "{'fp17': 1}", "1")],
    ],
)
def test_what_it_declares_is_checked_where_it_is_read(load, name, value):
    with pytest.raises(UserCodeError, match=rf"own_.*\.py, line 1[56]: `{name}` of backend 'own_.* gave "):
        load(f"{name} = {value}")


@pytest.mark.parametrize(
    ("body", "ask"),
    [
        ("def availability(self): return None", "availability"),
        ("def availability(self): return contract.Availability(installed='yes')", "availability"),
        ("def availability(self): return contract.Availability(installed=True, reason=3)", "availability"),
        ("def precisions(self, profile): return 'fp32'", "precisions"),
        ("def precisions(self, profile): return [5]", "precisions"),
        ("def precisions(self, profile): return 3", "precisions"),
        ("def beside(self, name): return 'x'", "beside"),
        ("def beside(self, name): return Path('/no/such/file')", "beside"),
        ("def layers(self, model, precision): return [3]", "layers"),
        ("def layers(self, m, p): return [contract.LayerGroup(name='a', layers='a', weights=1)]", "layers"),
        ("def layers(self, m, p): return [contract.LayerGroup(name='a', layers=[], weights=1)]", "layers"),
        ("def export(self, module, feed, path): return {}", "export"),
        ("def export(self, module, feed, path): path.touch(); return {'y': ['text']}", "export"),
        ("def compile(self, m, s, c, into): return {}", "compile"),
        ("def given(self, path): return None", "given"),
        ("def given(self, path): return contract.GivenFile(quantized='', largest_rank=2, source_format='x',"
         " title='X', inputs=('x',), outputs=(), parameters=1)", "given"),
        ("def as_source(self, path, shapes): return 'text'", "as_source"),
        ("def target(self, profile): return None", "target"),
        ("def runs_here(self, target): return 'yes'", "runs_here"),
        ("def open(self, artifact, batch, threads): return object()", "open"),
        *[(f"def options(self, *asked): return {options}", "options") for options in (
            "None", "['speed']", option("'speed'", "('a',)"), option("'speed'", "('a', 'a')"),
            option("'speed'", "('b', 'c')"), option("'sp eed'", "('a', 'b')"), option("5", "('a', 'b')"),
            option("'speed'", "('a', 5)"), option("'speed'", "('a', 'b')", "when='later'"),
            option("'speed'", "('a', 'b')", "exact=1"), f"2 * {option(SPEED, VALUES)}")],
        *[(f"def tune(self, *asked): return {facts}", "tune") for facts in (
            "None", "[]", "{'trials': float('nan')}", "{'trials': [3]}", "{'trials': 1e300}", "{3: 3}")],
        *[(f"def availability(self): {deed}", "availability") for deed in (
            "1 / 0", "sys.exit(0)", "os._exit(0)", "raise KeyboardInterrupt", "raise UserError('no')",
            "raise UnsupportedError", "raise type('E', (Exception,), {'__str__': lambda s: 1 / 0})")],
    ],
)  # fmt: skip
def test_what_it_answers_is_one_error_with_the_line_or_is_right(load, tmp_path, body, ask):
    backend, model = load(body), SourceModel(path=tmp_path, format="onnx")
    asked = {
        "availability": lambda: backend.availability(),
        "precisions": lambda: backend.precisions(load_profile("x86-avx2")),
        "beside": lambda: backend.beside("rules.yaml"),
        "layers": lambda: backend.layers(model, Precision.INT8),
        "export": lambda: backend.export(None, {"x": np.ones((1, 2))}, tmp_path / "file"),
        "compile": lambda: backend.compile(model, CompileSettings(precision=Precision.INT8), None, tmp_path),
        "given": lambda: backend.given(tmp_path),
        "as_source": lambda: backend.as_source(tmp_path, {"x": (1, 2)}),
        "target": lambda: backend.target(load_profile("x86-avx2")),
        "runs_here": lambda: backend.runs_here("x86-64"),
        "open": lambda: backend.open(tmp_path, 1, 1),
        "options": lambda: backend.options(load_profile("x86-avx2"), Precision.FP32, 1),
        "tune": lambda: backend.tune(model, CompileSettings(precision=Precision.FP32), BUDGET, (), tmp_path),
    }
    with pytest.raises(UserError, match=r"own_.*\.py, line 1[56]: ") as caught:
        asked[ask]()
    assert isinstance(caught.value, StageError)


def test_options_are_taken_in_and_told_only_where_there_are_any(load, tmp_path):
    body = f"""
def options(self, profile, precision, threads): return {option(SPEED, VALUES)}
def open(self, artifact, batch, threads, *options): raise UnsupportedError(str([dict(o) for o in options]))
"""
    backend = load(body)
    (speed,) = backend.options(load_profile("x86-avx2"), Precision.FP32, 1)
    assert (speed.name, speed.others, speed.exact) == ("speed", ("b",), True)
    with pytest.raises(UnsupportedError, match=r"\[\]"):
        backend.open(tmp_path, 1, 1)
    with pytest.raises(UnsupportedError, match=r"\[{'speed': 'b'}\]"):
        backend.open(tmp_path, 1, 1, {"speed": "b"})


@pytest.mark.parametrize(
    ("deed", "kind", "said"),
    [
        ("UnsupportedError('no such operator')", UnsupportedError, "no such operator"),
        ("UnsupportedError(None)", UnsupportedError, "None"),
        ("StageError('compile', 'the builder gave up', disagrees=True)", StageError, "the builder gave up"),
        ("StageError(5, object(), None)", StageError, "object"),
    ],
)
def test_what_the_contract_lets_it_raise_passes(load, tmp_path, deed, kind, said):
    backend = load(f"def layers(self, model, precision): raise {deed}")
    with pytest.raises(kind, match=said) as caught:
        backend.layers(SourceModel(path=tmp_path, format="onnx"), Precision.INT8)
    assert not isinstance(caught.value, UserCodeError)


def test_what_it_changes_is_put_back(load):
    before = Path.cwd(), sys.stdout, os._exit
    found = load(
        "def availability(self):\n    os.chdir('/'); sys.stdout = None\n    return Plain.availability(self)"
    )
    assert found.availability().installed
    assert (Path.cwd(), sys.stdout, os._exit) == before


def test_an_artifact_is_taken_as_it_is(load, tmp_path):
    body = """
def compile(self, m, s, c, into):
    return contract.Artifact(path=into, backend="x", precision=s.precision, size_bytes=1, weight_bytes={})
"""
    model, settings = SourceModel(path=tmp_path, format="onnx"), CompileSettings(precision=Precision.INT8)
    found = load(body).compile(model, settings, None, tmp_path)
    assert isinstance(found, Artifact)


def test_what_it_finds_by_tuning_is_taken_as_facts(load, tmp_path):
    body = """
tunable = True
def tune(self, model, settings, tuning, known, into):
    (into / "found").write_text(model.path.name)
    return {"trials": tuning.trials, "known": len(known), "seconds": 0.5, "by": "chance"}
"""
    model, settings = SourceModel(path=tmp_path, format="onnx"), CompileSettings(precision=Precision.FP32)
    backend = load(body)
    assert backend.tunable
    found = backend.tune(model, settings, BUDGET, [tmp_path], tmp_path)
    assert found == {"trials": 4, "known": 1, "seconds": 0.5, "by": "chance"}
    assert (tmp_path / "found").is_file()


def test_one_that_does_not_tune_says_so(load, tmp_path):
    backend = load()
    assert not backend.tunable
    with pytest.raises(UnsupportedError):
        backend.tune(
            SourceModel(path=tmp_path, format="onnx"),
            CompileSettings(precision=Precision.FP32),
            BUDGET,
            (),
            tmp_path,
        )
