"""How OpenVINO computes a file, where it is asked otherwise, and what it leaves behind."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.openvino import session
from paretune.backends.openvino.backend import OpenVinoBackend
from paretune.backends.openvino.session import COMPUTES, OpenVinoSession
from paretune.profiles.errors import StageError, UnsupportedError

WEIGHTS = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
FEED = {"x: 1": np.random.default_rng(1).normal(size=(2, 64)).astype(np.float32)}


def model(path, nodes=None, domain="", **said):
    """relu(x @ WEIGHTS) and the largest of each row, under names that other formats would not take."""
    nodes = nodes or [
        helper.make_node("MatMul", ["x: 1", "w"], ["product"], name="product"),
        helper.make_node("Relu", ["product"], ["y/1"]),
        helper.make_node("ArgMax", ["y/1"], ["largest"], axis=1, keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x: 1", TensorProto.FLOAT, [2, 64])],
        [
            helper.make_tensor_value_info("y/1", TensorProto.FLOAT, [2, 64]),
            helper.make_tensor_value_info("largest", TensorProto.INT64, [2]),
        ],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    helper.set_model_props(made, said)
    onnx.save(made, path)
    return path


def test_a_file_keeps_its_names_and_types(tmp_path):
    with OpenVinoSession(model(tmp_path / "m.onnx"), 1) as opened:
        assert [(spec.name, spec.dtype, spec.shape) for spec in (*opened.inputs, *opened.outputs)] == [
            ("x: 1", "float32", (2, 64)),
            ("y/1", "float32", (2, 64)),
            ("largest", "int64", (2,)),
        ]
        got = opened.run(FEED)
    np.testing.assert_allclose(got["y/1"], np.maximum(FEED["x: 1"] @ WEIGHTS, 0), rtol=1e-4, atol=1e-4)
    assert got["largest"].tolist() == got["y/1"].argmax(1).tolist()


@pytest.mark.parametrize(("said", "kind"), [("", "f32"), ("bf16", "bf16")])
def test_what_a_file_says_is_how_it_is_computed(tmp_path, said, kind):
    path = model(tmp_path / "m.onnx", **({COMPUTES: said} if said else {}))
    if said and "BF16" not in session.load_runtime().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises((UnsupportedError, StageError)):
            OpenVinoSession(path, 1)
        return
    opened = OpenVinoSession(path, 1)
    with opened:
        (kernel,) = (node.kernel for node in opened.ran() if "product" in node.originals)
    assert kernel.endswith(kind)


def test_another_type_than_was_asked_for_is_refused(tmp_path, monkeypatch):
    """OpenVINO takes f16 on a processor without it and computes in something else."""
    asked = {"INFERENCE_PRECISION_HINT": "f16", "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0}
    monkeypatch.setattr(session, "_HOW", {"half": asked})
    path = model(tmp_path / "m.onnx", **{COMPUTES: "half"})
    if "FP16" in session.load_runtime().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with OpenVinoSession(path, 1) as opened:
            assert any(node.kernel.endswith("f16") for node in opened.ran())
        return
    with pytest.raises(UnsupportedError, match="INFERENCE_PRECISION_HINT f16 and takes "):
        OpenVinoSession(path, 1)


def test_operators_that_it_does_not_have_are_named(tmp_path):
    unknown = [helper.make_node("Inverse", ["x: 1"], ["y/1"], domain="com.microsoft"), *model_tail()]
    with pytest.raises(UnsupportedError, match="Inverse"):
        OpenVinoSession(model(tmp_path / "m.onnx", unknown, domain="com.microsoft"), 1)


def test_outputs_stay_as_they_were_given(tmp_path):
    """Also one that is the input itself, and one whose size depends on what is fed."""
    nodes = [
        helper.make_node("Identity", ["x"], ["same"]),
        helper.make_node("NonZero", ["x"], ["places"]),
        helper.make_node("Relu", ["x"], ["y"]),
    ]
    value, path = helper.make_tensor_value_info, tmp_path / "m.onnx"
    outputs = [
        value("same", TensorProto.FLOAT, [2, 3]),
        value("places", TensorProto.INT64, [2, None]),
        value("y", TensorProto.FLOAT, [2, 3]),
    ]
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [2, 3])], outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    feeds = [
        np.float32([[1, 0, -1], [0, 0, 2]]),
        np.full((2, 3), 5, np.float32),
        np.zeros((2, 3), np.float32),
    ]
    with OpenVinoSession(path, 1) as opened:
        got = [opened.run({"x": feed}) for feed in feeds]
    for feed, found in zip(feeds, got, strict=True):
        np.testing.assert_array_equal(found["same"], feed)
        np.testing.assert_array_equal(found["y"], np.maximum(feed, 0))
        np.testing.assert_array_equal(found["places"], np.nonzero(feed))


def model_tail():
    return [helper.make_node("ArgMax", ["y/1"], ["largest"], axis=1, keepdims=0)]


def test_text_is_refused_by_the_name_of_its_input(tmp_path):
    value = helper.make_tensor_value_info
    words, same = (value(name, TensorProto.STRING, [1, 2]) for name in ("words", "same"))
    graph = helper.make_graph([helper.make_node("Identity", ["words"], ["same"])], "g", [words], [same])
    onnx.save(helper.make_model(graph, ir_version=8), tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match="'words' holds text"):
        OpenVinoSession(tmp_path / "m.onnx", 1)


def test_what_is_no_model_fails_in_one_line(tmp_path):
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(StageError) as raised:
        OpenVinoSession(tmp_path / "m.onnx", 1)
    assert "\n" not in raised.value.cause


_ALONE = """
import sys
for blocked in ("torch", "onnx", "onnxruntime", "pandas", "pydantic", "yaml"):
    sys.modules[blocked] = None
import numpy as np
feed = dict(np.load(sys.argv[2]))
if sys.argv[3] == "bundle":
    script = open(sys.argv[4]).read()
    names = {"np": np}
    exec(script, names)
    got = names["Model"](sys.argv[1], 2, 1).run(feed)
else:
    from pathlib import Path
    from paretune.backends.registry import get_backend
    with get_backend("openvino").open(Path(sys.argv[1]), 2, 1) as opened:
        got = opened.run(feed)
np.savez(sys.argv[2] + ".out.npz", **{name.replace("/", "_"): array for name, array in got.items()})
"""


@pytest.mark.parametrize("how", ["bundle", "session"])
def test_it_needs_openvino_alone_and_leaves_nothing_in_the_home(tmp_path, how):
    """OpenVINO's own tools report each import to their maker, under a number that they keep in the home."""
    home, feed = tmp_path / "home", tmp_path / "feed.npz"
    home.mkdir()
    np.savez(feed, **FEED)
    path = model(tmp_path / "m.onnx")
    script = OpenVinoBackend().beside("run.py.in")
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, path, feed, how, script],
        env={**os.environ, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    with OpenVinoSession(path, 1) as opened, np.load(f"{feed}.out.npz") as got:
        np.testing.assert_array_equal(got["y_1"], opened.run(FEED)["y/1"])
    assert list(Path(home).iterdir()) == []
