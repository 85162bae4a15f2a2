"""What every backend must do. Subclass `BackendContract`, name the backend and what it refuses.

A subclass whose backend can build here but not run (a compiler for an absent device) sets `runs_here` to
False: the checks that run an artifact are then not generated at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from functools import cache
from inspect import signature
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from contracts.models import BATCH, NAMES, subject
from paretune.backends.contract.backend import (
    CALIBRATION_METHODS,
    Artifact,
    Backend,
    CompileSettings,
    batches,
)
from paretune.backends.contract.foreign import Foreign
from paretune.backends.contract.options import RuntimeOption, check_taken
from paretune.backends.registry import get_backend
from paretune.profiles.devices.host import probe_host
from paretune.profiles.errors import UnsupportedError
from paretune.profiles.precision import Precision
from paretune.search.stages.models.export import export

_FOLDER = tempfile.TemporaryDirectory(prefix="paretune-contract-")

# Storage types that must hold most of the weights.
STORED_AS = {32: {"float32"}, 16: {"float16", "bfloat16"}, 8: {"int8", "uint8", "float8"}, 4: {"int4"}}
ELEMENTS_PER_BYTE = {
    "float32": 0.25,
    "float16": 0.5,
    "bfloat16": 0.5,
    "int8": 1,
    "uint8": 1,
    "float8": 1,
    "int4": 2,
}
# Least SQNR in dB against PyTorch, of outputs whose mean over the samples was taken away: what the precision
# leaves of the differences between samples. Static formats lose most of it to samples beyond the ranges that
# calibration saw; kernels differ between processors, hence the margins.
LEAST_SQNR_DB = {
    Precision.FP32: 80.0,
    Precision.FP16: 45.0,
    Precision.BF16: 30.0,
    Precision.FP8: 15.0,
    Precision.INT8: 20.0,
    Precision.INT8_DYNAMIC: 25.0,
    Precision.INT16X8: 22.0,
    Precision.INT8_WEIGHT: 25.0,
    Precision.INT4_WEIGHT: 10.0,
}


# Models with what compilers fuse, unroll and branch over.
PLACED = ("mlp", "residual", "recurrent", "branch")


@cache
def here():
    return probe_host(measure=False)


def told(backend, precisions):
    """Every value of every option that is offered here on one thread or two: precision, threads, option,
    value."""
    found = {}
    for precision in (p for p in (Precision.FP32, Precision.INT8) if p in precisions):
        for threads in (1, 2):
            for option in backend.options(here(), precision, threads):
                for value in option.others:
                    found.setdefault((precision, option.name, value), (precision, threads, option, value))
    return list(found.values())


def needs_int8(function):
    """Mark a check that compiles at int8."""
    function.needs_int8 = True
    return function


def needs_run(function):
    """Mark a check that runs an artifact here."""
    function.needs_run = True
    return function


def new_folder() -> Path:
    return Path(tempfile.mkdtemp(dir=_FOLDER.name))


@cache
def source_of(name, backend_name, batch):
    made = subject(name)
    try:
        return export(made.module, made.calibration, get_backend(backend_name), batch, new_folder())
    except UnsupportedError as refused:
        return refused


def source(name, backend: Backend, batch=BATCH):
    """The exported model; one export, or one refusal, serves all backends that read ONNX."""
    made = source_of(name, "ort" if backend.source_format == "onnx" else backend.name, batch)
    if isinstance(made, UnsupportedError):
        raise made
    return made


def compile_model(backend: Backend, name, precision, *, batch=BATCH, calibrate=True, **settings) -> Artifact:
    return backend.compile(
        source(name, backend, batch if backend.fixed_batch else BATCH),
        CompileSettings(precision=precision, batch=batch, **settings),
        subject(name).calibration if calibrate else None,
        new_folder(),
    )


@cache
def compiled(backend_name, name, precision) -> Artifact:
    return compile_model(get_backend(backend_name), name, precision)


def all_outputs(session, samples, batch=BATCH):
    """Every output over all samples (their number is a multiple of the batch), by name."""
    runs = [session.run(feed) for feed in batches(samples, batch)]
    return {spec.name: np.concatenate([run[spec.name] for run in runs]) for spec in session.outputs}


def outputs(session, samples, batch=BATCH):
    """The first output over all samples."""
    return all_outputs(session, samples, batch)[session.outputs[0].name]


def centred_sqnr_db(wanted, got):
    mean = wanted.mean(0)
    noise = np.sum((wanted - got).astype(np.float64) ** 2)
    return float(10 * np.log10(np.sum((wanted - mean).astype(np.float64) ** 2) / max(noise, 1e-30)))


def worst_sqnr_db(wanted, got):
    """That of the output which agrees least; there must be the same ones."""
    assert set(wanted) == set(got)
    return min(centred_sqnr_db(array, got[name]) for name, array in wanted.items())


class BackendContract:
    """The checks. `refused` maps (model, precision) to a pattern of the reason that must be given."""

    name: ClassVar[str]
    precisions: ClassVar[tuple[Precision, ...]]
    refused: ClassVar[dict[tuple[str, Precision], str]] = {}
    runs_here: ClassVar[bool] = True
    tells_placement: ClassVar[bool] = True
    least_sqnr_db: ClassVar[dict[Precision, float]] = LEAST_SQNR_DB

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        values = cls().parameters()
        for name in dir(cls):
            check = getattr(cls, name)
            asked = signature(check).parameters if name.startswith("test_") else ()
            empty = any(not values[fixture] for fixture in asked if fixture in values)
            no_run = getattr(check, "needs_run", False) and not cls.runs_here
            no_int8 = getattr(check, "needs_int8", False) and Precision.INT8 not in cls.precisions
            if empty or no_run or no_int8:
                setattr(cls, name, None)  # pytest collects only what can be called

    @property
    def backend(self) -> Backend:
        """As its author wrote it, without the guard that is around one of another package."""
        found = get_backend(self.name)
        return found.theirs() if isinstance(found, Foreign) else found

    def cases(self):
        pairs = [(name, precision) for name in NAMES for precision in self.precisions]
        return [pair for pair in pairs if pair not in self.refused]

    def parameters(self):
        methods = self.backend.calibration_methods
        return {
            "case": self.cases(),
            "model": [name for name, precision in self.cases() if precision is Precision.FP32],
            "refusal": list(self.refused),
            "foreign": [p for p in Precision if p not in self.precisions and p is not Precision.GIVEN],
            "method": methods,
            "told": told(self.backend, self.precisions),
            "unknown_method": [m for m in (*CALIBRATION_METHODS, "best") if m not in methods],
        }

    def pytest_generate_tests(self, metafunc):
        for fixture, values in self.parameters().items():
            if fixture in metafunc.fixturenames:
                metafunc.parametrize(fixture, values, ids=_title)

    def test_available(self):
        found = self.backend.availability()
        assert found.installed, found.reason
        assert found.version

    def test_compile_gives_one_file_and_tells_the_truth_about_it(self, case):
        artifact = compiled(self.name, *case)
        assert list(artifact.path.parent.iterdir()) == [artifact.path]
        assert artifact.size_bytes == artifact.path.stat().st_size
        assert sum(artifact.weight_bytes.values()) <= artifact.size_bytes
        assert (artifact.backend, artifact.precision) == (self.name, case[1])
        assert artifact.versions

    def test_most_weights_are_stored_at_the_precision(self, case):
        stored = compiled(self.name, *case).weight_bytes
        elements = {kind: stored.get(kind, 0) * density for kind, density in ELEMENTS_PER_BYTE.items()}
        wanted = STORED_AS[case[1].decoded.weight_bits]
        assert sum(elements[kind] for kind in wanted) > 0.5 * sum(elements.values()), stored

    def test_fewer_bits_make_a_smaller_file(self, model):
        sizes = {
            precision: sum(compiled(self.name, model, precision).weight_bytes.values())
            for name, precision in self.cases()
            if name == model
        }
        for precision, size in sizes.items():
            if precision.decoded.weight_bits < 32:
                assert size < sizes[Precision.FP32], precision

    def test_another_process_without_torch_gives_the_same_bytes_in_another_order(self):
        wanted = {
            f"{name} {precision}": _digest(compiled(self.name, name, precision))
            for name, precision in self.cases()
        }
        assert self.in_process("compile") == wanted

    def test_other_precisions_are_refused(self, foreign):
        with pytest.raises(UnsupportedError, match=str(foreign)):
            compile_model(self.backend, "mlp", foreign)

    def test_refusals_say_why(self, refusal):
        with pytest.raises(UnsupportedError, match=self.refused[refusal]):
            compile_model(self.backend, *refusal)

    @needs_int8
    def test_calibration_data_is_asked_for(self):
        with pytest.raises(ValueError, match="needs calibration data"):
            compile_model(self.backend, "mlp", Precision.INT8, calibrate=False)

    @needs_int8
    def test_every_offered_calibration_method_compiles(self, method):
        artifact = compile_model(self.backend, "mlp", Precision.INT8, calibration_method=method)
        assert artifact.size_bytes > 0

    @needs_int8
    def test_other_calibration_methods_are_refused(self, unknown_method):
        with pytest.raises(UnsupportedError, match=unknown_method):
            compile_model(self.backend, "mlp", Precision.INT8, calibration_method=unknown_method)

    @needs_int8
    def test_untrained_weights_compile_without_the_check(self):
        artifact = compile_model(self.backend, "mlp", Precision.INT8, check=False)
        assert artifact.path.read_bytes() == compiled(self.name, "mlp", Precision.INT8).path.read_bytes()

    @needs_run
    def test_inputs_and_outputs_are_those_of_the_source(self, case):
        samples = subject(case[0]).samples
        with self.backend.open(compiled(self.name, *case).path, BATCH, 1) as session:
            found = {spec.name: (spec.dtype, spec.shape) for spec in session.inputs}
            assert found == {n: (a.dtype.name, (BATCH, *a.shape[1:])) for n, a in samples.items()}
            given = {spec.name: (spec.dtype, spec.shape) for spec in session.outputs}
            wanted = subject(case[0]).wanted
            assert given == {n: (a.dtype.name, (BATCH, *a.shape[1:])) for n, a in wanted.items()}

    @needs_run
    def test_agrees_with_pytorch(self, case):
        made = subject(case[0])
        with self.backend.open(compiled(self.name, *case).path, BATCH, 1) as session:
            sqnr = worst_sqnr_db(made.wanted, all_outputs(session, made.samples))
        print(f"agreement {self.name} {case[0]} {case[1]}: {sqnr:.1f} dB")
        assert sqnr >= self.least_sqnr_db[case[1]]

    @needs_run
    def test_feed_must_match(self, model):
        with self.backend.open(compiled(self.name, model, Precision.FP32).path, BATCH, 1) as session:
            feed = next(batches(subject(model).samples, BATCH))
            name, array = next(iter(feed.items()))
            with pytest.raises(ValueError, match="the model wants"):
                session.run({})
            with pytest.raises(ValueError, match="feed has inputs"):
                session.run({**feed, "another": array})
            with pytest.raises(ValueError, match=f"input '{name}' is float64"):
                session.run({**feed, name: array.astype(np.float64)})
            with pytest.raises(ValueError, match=rf"\[{BATCH - 1}, "):
                session.run({**feed, name: array[:-1]})

    @needs_run
    def test_results_are_repeatable_and_stay(self, model):
        samples = subject(model).samples
        first, second = list(batches(samples, BATCH))[:2]
        with self.backend.open(compiled(self.name, model, Precision.FP32).path, BATCH, 1) as session:
            kept = session.run(first)
            copy = {name: array.copy() for name, array in kept.items()}
            other, again = session.run(second), session.run(first)
            for name, array in copy.items():
                assert not np.array_equal(other[name], array)
                assert np.array_equal(again[name], array)
        assert all(np.array_equal(kept[name], array) for name, array in copy.items())

    @needs_run
    @pytest.mark.parametrize("batch", [1, 8])
    def test_other_batches(self, batch):
        made = subject("mlp")
        artifact = compile_model(self.backend, "mlp", Precision.FP32, batch=batch)
        with self.backend.open(artifact.path, batch, 1) as session:
            assert session.inputs[0].shape[0] == batch
            got = all_outputs(session, made.samples, batch)
        assert worst_sqnr_db(made.wanted, got) >= self.least_sqnr_db[Precision.FP32]

    @needs_run
    def test_another_batch_than_compiled_is_refused(self):
        with pytest.raises(ValueError, match=f"for batch {BATCH}, asked for 2"):
            self.backend.open(compiled(self.name, "mlp", Precision.FP32).path, 2, 1)

    @needs_run
    def test_more_threads_give_the_same_answer(self):
        made = subject("cnn")
        with self.backend.open(compiled(self.name, "cnn", Precision.FP32).path, BATCH, 2) as session:
            got = all_outputs(session, made.samples)
        assert worst_sqnr_db(made.wanted, got) >= self.least_sqnr_db[Precision.FP32]

    @needs_run
    def test_each_node_is_placed_once_or_none_is(self):
        for name, precision in self.cases():
            if name not in PLACED or precision not in (Precision.FP32, Precision.INT8):
                continue
            feed = next(batches(subject(name).samples, BATCH))
            with self.backend.open(compiled(self.name, name, precision).path, BATCH, 1) as session:
                found, again = session.placement(feed), session.placement(feed)
                session.run(feed)
            if not self.tells_placement:
                assert found is None
                continue
            assert [replace(node, share_of_time=None) for node in found.nodes] == [
                replace(node, share_of_time=None) for node in again.nodes
            ]
            assert len(found.nodes) >= 3
            assert all(node.op and node.kernel and node.place for node in found.nodes)
            assert all(node.intended != bool(node.reason) for node in found.nodes)
            assert 0 <= found.share_of_nodes <= 1
            shares = [node.share_of_time for node in found.nodes]
            assert all(share is None for share in shares) or sum(shares) == pytest.approx(1)

    @needs_run
    def test_options_are_taken_and_keep_the_answers(self, told):
        precision, threads, option, value = told
        made, options = subject("mlp"), {option.name: value}
        artifact = compiled(self.name, "mlp", precision)
        with self.backend.open(artifact.path, BATCH, 1) as session:
            wanted = all_outputs(session, made.samples)
        at_opening = options if option.when == "open" else {}
        if option.when == "compile":
            artifact = compile_model(self.backend, "mlp", precision, options=options)
        with self.backend.open(artifact.path, BATCH, threads, at_opening) as session:
            check_taken(at_opening, session.taken)
            got = all_outputs(session, made.samples)
        script: dict = {"np": np, "sys": sys, "json": json}
        exec(self.backend.beside("run.py.in").read_text(), script)
        bundled = script["Model"](artifact.path, BATCH, threads, at_opening)
        for name, array in bundled.run(next(batches(made.samples, BATCH))).items():
            assert np.allclose(array, got[name][:BATCH], rtol=1e-4, atol=1e-5)
        exact = option.exact or precision is Precision.FP32
        assert worst_sqnr_db(wanted, got) >= (100 if exact else self.least_sqnr_db[precision])

    @needs_run
    def test_unknown_options_are_refused(self):
        path, unknown = compiled(self.name, "mlp", Precision.FP32).path, {"no-such-option": "on"}
        with pytest.raises(UnsupportedError, match="no-such-option"):
            self.backend.open(path, BATCH, 2, unknown)
        with pytest.raises(UnsupportedError, match="no-such-option"):
            compile_model(self.backend, "mlp", Precision.FP32, options=unknown)

    @needs_run
    def test_close_twice(self):
        session = self.backend.open(compiled(self.name, "mlp", Precision.FP32).path, BATCH, 1)
        session.run(next(batches(subject("mlp").samples, BATCH)))
        session.close()
        session.close()

    @needs_run
    def test_running_needs_no_torch(self):
        got = self.in_process("run")
        for name, precision in self.cases():
            with self.backend.open(compiled(self.name, name, precision).path, BATCH, 1) as session:
                here = session.run(next(batches(subject(name).samples, BATCH)))
            for output, array in here.items():
                there = np.array(got[f"{name} {precision}"][output], array.dtype)
                largest = float(np.abs(array).max())
                assert np.allclose(there, array, rtol=1e-4, atol=1e-5 * largest), (name, precision, output)

    def in_process(self, job):
        """Compile or run every case, the last one first, in a new interpreter without torch."""
        folder = new_folder()
        cases = []
        for name, precision in reversed(list(self.cases())):
            np.savez(folder / f"{name}.npz", **subject(name).calibration)
            np.savez(folder / f"{name}-samples.npz", **subject(name).samples)
            path = compiled(self.name, name, precision).path
            origin = source(name, self.backend)
            cases.append([name, str(precision), str(path), str(origin.path), origin.format])
        request = {"backend": self.name, "batch": BATCH, "folder": str(folder), "cases": cases, "job": job}
        done = subprocess.run(
            [sys.executable, Path(__file__).with_name("without_torch.py"), json.dumps(request)],
            env={**os.environ, "PYTHONHASHSEED": "11", "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        return json.loads((folder / "answer.json").read_text())


def _title(value):
    if isinstance(value, RuntimeOption):
        return value.name
    return "-".join(map(_title, value)) if isinstance(value, tuple) else str(value)


def _digest(artifact: Artifact):
    return hashlib.sha256(artifact.path.read_bytes()).hexdigest()
