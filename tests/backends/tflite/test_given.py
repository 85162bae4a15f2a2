"""Files that users hand in: what is read of them, and how their codes become numbers."""

import copy

import numpy as np
import pytest
from contracts import tflite_files as files
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.registry import get_backend, taker_of
from paretune.profiles.errors import UnsupportedError
from paretune.profiles.precision import Precision


@pytest.fixture
def put(tmp_path):
    def put(model, name="model.tflite"):
        path = tmp_path / name
        path.write_bytes(files.packed(model) if not isinstance(model, bytes) else model)
        return path

    return put


def compiled(path, precision, into, batch=1, samples=None):
    settings = CompileSettings(precision=precision, batch=batch)
    return get_backend("tflite").compile(SourceModel(path=path, format="tflite"), settings, samples, into)


@pytest.mark.parametrize("signatures", [("serving_default",), ("predict",), ()])
def test_an_int8_file_is_run_as_it_is_and_its_codes_are_read_as_numbers(put, tmp_path, signatures):
    path = put(files.dense(int8=True, signatures=signatures))
    backend, given = get_backend("tflite"), get_backend("tflite").given(path)
    assert (given.batch, given.parameters, given.source_format) == (1, 24, "tflite")
    assert "int8" in given.quantized
    assert [(t.name, t.dtype, t.scale, t.zero_point) for t in given.inputs] == [
        ("x", "int8", pytest.approx(files.X_SCALE), files.X_ZERO)
    ]
    (tmp_path / "out").mkdir()
    samples = {"x": files.splits().validation.inputs["x"]}
    artifact = compiled(path, Precision.GIVEN, tmp_path / "out", samples=given.fed(samples))
    assert artifact.path.read_bytes() == path.read_bytes()
    with backend.open(artifact.path, 1, 1) as session:
        runs = [session.run({"x": row[None]}) for row in given.fed(samples)["x"]]
    got = given.read({"y": np.concatenate([run["y"] for run in runs])})["y"]
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, samples["x"] @ files.WEIGHT.T, atol=0.6)


@pytest.mark.parametrize("signatures", [("predict",), ()])
def test_a_float_file_without_the_usual_signature_is_quantized_like_any_other(put, tmp_path, signatures):
    path = put(files.dense(signatures=signatures))
    (tmp_path / "out").mkdir()
    samples = {"x": files.splits().calibration.inputs["x"]}
    artifact = compiled(path, Precision.INT8, tmp_path / "out", samples=samples)
    assert artifact.weight_bytes["int8"] == 24
    with get_backend("tflite").open(artifact.path, 1, 1) as session:
        got = session.run({"x": samples["x"][:1]})["y"]
    np.testing.assert_allclose(got, samples["x"][:1] @ files.WEIGHT.T, atol=0.3)


def test_a_free_batch_is_closed_and_a_fixed_one_stays(put, tmp_path):
    backend, path = get_backend("tflite"), put(files.dense(free=True))
    assert backend.given(path).batch == 0
    assert backend.as_source(path, {"x": (1, 8)}) == path.read_bytes()
    wider = put(backend.as_source(path, {"x": (4, 8)}), "wider.tflite")
    x = files.splits().test.inputs["x"][:4]
    with backend.open(wider, 4, 1) as session:
        np.testing.assert_allclose(session.run({"x": x})["y"], x @ files.WEIGHT.T, rtol=1e-4, atol=1e-5)
    assert backend.given(put(files.dense(batch=4))).batch == 4


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (files.dense(signatures=("encode", "decode")), "'encode' and 'decode'"),
        (files.custom("FlexErf"), "Erf"),
        (files.packed(files.dense())[:200], "read"),
        (b"\x18\0\0\0TFL3" + b"\xff" * 400, "read"),
        (b"TFL3", "read"),
    ],
    ids=["two signatures", "flex", "cut off", "garbage", "four bytes"],
)
def test_what_cannot_be_a_workload_is_refused_with_what_it_is(put, model, named):
    with pytest.raises(UnsupportedError, match=named):
        get_backend("tflite").given(put(model))


def test_names_of_tensors_that_tell_nothing_apart_are_numbered(put):
    given = get_backend("tflite").given(put(files.dense(signatures=(), names=("", "y"))))
    assert ([one.name for one in given.inputs], [one.name for one in given.outputs]) == (["input_0"], ["y"])


def test_a_file_is_known_by_what_stands_in_it_and_by_its_name_only_where_that_is_lost(put):
    assert taker_of(put(files.dense(), "model.onnx")) == "tflite"
    assert taker_of(put(b"\x08\x0a\x12\x00", "model.tflite")) is None
    assert taker_of(put(b"\0" * 64, "model.tflite")) == "tflite"
    assert taker_of(put(b"\0" * 64, "model.bin")) is None


def test_tensors_without_names_of_their_own_get_some_before_anything_is_quantized(put, tmp_path):
    model, backend = files.dense(), get_backend("tflite")
    model.subgraphs[0].tensors[1].name = b""
    model.subgraphs.append(copy.deepcopy(model.subgraphs[0]))
    path = put(model)
    source = put(backend.as_source(path, {"x": (1, 8)}), "source.tflite")
    (tmp_path / "out").mkdir()
    samples = {"x": files.splits().calibration.inputs["x"]}
    assert compiled(source, Precision.INT8, tmp_path / "out", samples=samples).weight_bytes["int8"] == 24
    quantized = put(files.dense(int8=True, names=("", "")), "int8.tflite")
    assert backend.as_source(quantized, {"x": (1, 8)}) == quantized.read_bytes()


def test_numbers_and_codes_are_each_others_inverse_within_half_a_step_and_clip_at_the_ends(put):
    (x,) = get_backend("tflite").given(put(files.dense(int8=True))).inputs
    numbers = np.array([-100.0, -1.0, 0.0, 0.049, 100.0])
    assert x.codes(numbers).tolist() == [-128, -23, -3, -2, 127]
    assert np.abs(x.numbers(x.codes(numbers[1:4])) - numbers[1:4]).max() <= files.X_SCALE / 2 + 1e-6
    codes = np.array([[3, 4]], np.int8)
    assert x.codes(codes) is codes
