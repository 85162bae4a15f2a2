"""Ranges of activations: what is not finite is named."""

import numpy as np
import pytest
from contracts import onnx_files as files
from contracts.onnx_files import body, model, node
from paretune.backends.contract.agreement import sqnr_db
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.ort.backend import OrtBackend
from paretune.profiles.errors import StageError
from paretune.profiles.precision import Precision


def compile_at(method, proto, x, folder):
    (folder / "source.onnx").write_bytes(proto.SerializeToString())
    source = SourceModel(path=folder / "source.onnx", format="onnx")
    settings = CompileSettings(precision=Precision.INT8, calibration_method=method)
    return OrtBackend().compile(source, settings, {"x": x}, folder)


def plain():
    return model([node(n.op_type, n.input, n.output) for n in body()])


@pytest.mark.parametrize("method", ["minmax", "percentile", "entropy"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_sample_that_is_not_finite_is_named_by_every_method(method, bad, tmp_path):
    x = files.splits().calibration.inputs["x"].copy()
    x[5, 2] = bad
    with pytest.raises(StageError, match=r"'x'.*1 of 60"):
        compile_at(method, plain(), x, tmp_path)


def test_so_is_an_activation(tmp_path):
    nodes = [
        *body()[:2],
        node("Log", ["h"], ["log"]),
        node("IsNaN", ["log"], ["no"]),
        node("Where", ["no", "r", "log"], ["seen"]),
        node("MatMul", ["seen", "second"], ["y"]),
    ]
    for number, one in enumerate(nodes):
        one.name = f"n{number}"
    with pytest.raises(StageError, match="'log'"):
        compile_at("percentile", model(nodes), files.splits().calibration.inputs["x"], tmp_path)


@pytest.mark.parametrize("make", [files.with_branches, files.with_loop])
def test_inner_graphs_read_what_the_quantizer_changed_around_them(make, tmp_path):
    proto = make()
    for number, one in enumerate(proto.graph.node):
        one.name = f"n{number}"
    compiled = compile_at("minmax", proto, files.splits().calibration.inputs["x"], tmp_path)
    x = files.splits().validation.inputs["x"]
    with OrtBackend().open(compiled.path, 1, 1) as session:
        got = np.concatenate([session.run({"x": x[row : row + 1]})["y"] for row in range(30)])
    assert sqnr_db(files.scores(x[:30]), got) > 15  # read without its activation: below 0


def test_an_old_opset_keeps_its_own_operators_at_int4(tmp_path):
    nodes = [*body(y="s"), node("ReduceMean", ["s"], ["m"], axes=[1]), node("Sub", ["s", "m"], ["y"])]
    for number, one in enumerate(nodes):
        one.name = f"n{number}"
    proto = model(nodes, {"table": files.FIRST}, opset=14)
    (tmp_path / "source.onnx").write_bytes(proto.SerializeToString())
    source = SourceModel(path=tmp_path / "source.onnx", format="onnx")
    settings = CompileSettings(precision=Precision.INT4_WEIGHT)
    made = OrtBackend().compile(source, settings, files.splits().calibration.inputs, tmp_path)
    assert made.weight_bytes["int4"] > 0
