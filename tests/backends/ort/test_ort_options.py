"""What ONNX Runtime is told has the effect that it is told for."""

import numpy as np
import onnx
import pytest
from contracts import onnx_files
from contracts.onnx_files import node, scores, value
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.ort.backend import OrtBackend
from paretune.profiles.errors import UnsupportedError
from paretune.profiles.precision import Precision
from threads_at_rest import sleep_at_once, threads

NODES = [
    node("MatMul", ["x", "first"], ["h"], name="up"),
    node("Relu", ["h"], ["r"], name="relu"),
    node("MatMul", ["r", "second"], ["y"], name="down"),
]
X = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
ORT = OrtBackend()


def model(nodes=NODES, weights=None, **others):
    return onnx_files.model(nodes, weights, **others)


@pytest.fixture
def compiled(tmp_path):
    def compiled(proto, precision=Precision.FP32, **options):
        path, into = tmp_path / "source.onnx", tmp_path / str(len(options))
        onnx.save(proto, path)
        into.mkdir(exist_ok=True)
        settings = CompileSettings(precision=precision, batch=2, options=options)
        source, data = SourceModel(path=path, format="onnx"), {"x": np.tile(X, (8, 1))}
        return ORT.compile(source, settings, data, into).path

    return compiled


def test_graphs_that_are_not_rewritten_keep_their_nodes(compiled):
    path, counts = compiled(model(), Precision.INT8), {}
    for level in ("disable", "all"):
        with ORT.open(path, 2, 1, {"graph_optimization": level}) as session:
            counts[level] = len(session.placement({"x": X}).nodes)
    assert counts["disable"] > counts["all"]


def test_threads_that_spin_spend_what_sleeping_ones_do_not(compiled):
    wide = {"first": np.ones((8, 4096), np.float32), "second": np.ones((4096, 3), np.float32)}
    path, told = compiled(model(weights=wide)), {}
    for spinning in ("off", "on"):
        before = threads()
        with ORT.open(path, 2, 2, {"spinning": spinning}) as session:
            told[spinning] = sleep_at_once(threads() - before, lambda s=session: s.run({"x": X}))
    assert told == {"off": True, "on": False}


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8])
def test_an_artifact_is_of_the_opset_that_was_asked_for(compiled, precision):
    plain, newer = compiled(model(), precision), compiled(model(), precision, opset="21")
    versions = [{one.domain: one.version for one in onnx.load(path).opset_import} for path in (plain, newer)]
    assert [one[""] for one in versions] == [17, 21]
    with ORT.open(newer, 2, 1) as session:
        assert np.allclose(session.run({"x": X})["y"], scores(X), rtol=0.1, atol=0.3)


def test_an_opset_that_lacks_an_operator_is_refused_by_its_name(compiled):
    norm = node("RMSNormalization", ["r", "ones"], ["y"])
    ones = {"ones": np.ones(8, np.float32)}
    proto = model([*NODES[:2], norm], ones, outputs=[value("y")], opset=23)
    with pytest.raises(UnsupportedError, match=r"from opset 23 to 21: .*RMSNormalization"):
        compiled(proto, opset="21")


def test_what_is_offered_has_an_effect_there():
    def names(precision, threads):
        return {one.name for one in ORT.options(None, precision, threads)}

    assert {"spinning", "execution_mode"} <= names(Precision.FP32, 2) - names(Precision.FP32, 1)
    assert names(Precision.FP32, 2) - names(Precision.GIVEN, 2) == {"opset"}
    exact = {
        p: {o.name for o in ORT.options(None, p, 1) if o.exact} for p in (Precision.FP32, Precision.INT8)
    }
    assert exact[Precision.FP32] - exact[Precision.INT8] == {"graph_optimization"}
