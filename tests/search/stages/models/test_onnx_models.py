"""Models that exist only as ONNX: what is made of each kind of file, and what is refused with which words."""

import numpy as np
import onnx
import pytest
from contracts import onnx_files as files
from contracts.onnx_files import body, model, models_of, node, value
from onnx import TensorProto
from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.onnx_graph.inspect import own_batch
from paretune.backends.ort.backend import OrtBackend
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.workload.metric import Metric
from paretune.search.workload.split_checks import check_onnx

RIGHT = {
    "as it is": (lambda: model(), np.float32),
    "constants as inputs, IR 3, opset 9": (files.with_constants_as_inputs, np.float32),
    "opset 11": (lambda: model(opset=11), np.float32),
    "If": (files.with_branches, np.float32),
    "Loop": (files.with_loop, np.float32),
    "function": (files.with_function, np.float32),
    "sparse weight": (files.with_sparse_weight, np.float32),
    "newer IR version": (lambda: model(ir=14), np.float32),
    "free axis": (lambda: model(inputs=[value("x", ("N", "F"))]), np.float32),
    "one name for batch and free axis": (lambda: model(inputs=[value("x", ("N", "N"))]), np.float32),
    "fixed batch": (lambda: model(inputs=[value("x", (4, 8))], outputs=[value("y", (4, 3))]), np.float32),
    "float16": (lambda: files.in_other_float(files.HALF), np.float16),
    "float16 inside": (lambda: files.in_other_float(files.HALF, outside=False), np.float32),
    "float64": (lambda: files.in_other_float(files.DOUBLE), np.float64),
    "bfloat16": (lambda: files.in_other_float(TensorProto.BFLOAT16), np.float32),
    "class label first": (files.with_labels_first, np.float32),
    "list of tables": (lambda: files.with_labels_first(zipmap=True), np.float32),
}
BY_ROUNDING = {"float16", "float16 inside", "bfloat16"}  # of the weights, which the labels do not have


@pytest.mark.parametrize("kind", RIGHT)
def test_each_kind_of_file_is_scored_right_and_compiles_at_every_precision(kind, tmp_path):
    make, dtype = RIGHT[kind]
    models = models_of(make(), tmp_path, dtype=dtype)
    workload = models.loaded.workload
    check_onnx(models.path, models.loaded.splits, workload)
    models.prepare(None)
    assert models.teacher_facts()["quality"]["validation"] >= (0.95 if kind in BY_ROUNDING else 1.0)

    candidate = Candidate(backend="ort", precision=Precision.FP32)
    made = models.exported(candidate, OrtBackend(), 1, trained=True, note=lambda _: None)
    source = SourceModel(path=made.path / made.meta["file"], format="onnx")
    proto = onnx.load(source.path)
    validation = models.loaded.splits.validation
    for precision in (
        Precision.FP32,
        Precision.FP16,
        Precision.INT8,
        Precision.INT8_DYNAMIC,
        Precision.INT4_WEIGHT,
    ):
        folder = tmp_path / str(precision)
        folder.mkdir()
        settings = CompileSettings(precision=precision, batch=own_batch(proto))
        compiled = OrtBackend().compile(source, settings, models.loaded.splits.calibration.inputs, folder)
        with OrtBackend().open(compiled.path, settings.batch, 1) as session:
            got = session.run({"x": validation.inputs["x"][: settings.batch]})
        first = next(iter(got.values()))
        wanted = files.scores(validation.inputs["x"][: settings.batch])
        assert first.shape == wanted.shape
        if precision is Precision.FP32 and "label" not in got:
            assert np.abs(first - wanted).max() < (0.05 if kind in BY_ROUNDING else 1e-4)


def test_a_file_that_needs_no_preparation_is_taken_as_it_is(tmp_path):
    plain = model([node(n.op_type, n.input, n.output) for n in body()])
    models = models_of(plain, tmp_path)
    candidate = Candidate(backend="ort", precision=Precision.FP32)
    made = models.exported(candidate, OrtBackend(), 1, trained=True, note=lambda _: None)
    assert (made.path / made.meta["file"]).read_bytes() == models.path.read_bytes()
    assert models.remarks() == ()


def test_weights_beside_the_file_are_taken_in(tmp_path):
    files.saved_beside(model(), tmp_path)
    models = models_of(None, tmp_path)
    models.prepare(None)
    made = models.exported(
        Candidate(backend="ort", precision=Precision.FP32), OrtBackend(), 1, trained=True, note=lambda _: None
    )
    (tmp_path / "w.bin").unlink()
    assert sum(len(t.raw_data) for t in onnx.load(made.path / made.meta["file"]).graph.initializer) == 4 * 88


@pytest.mark.parametrize(
    ("kind", "said"),
    [("free axis", "axis 1 of 'x' 8"), ("float16", "float16"), ("newer IR version", "14 to 13")],
)
def test_what_was_changed_is_said(kind, said, tmp_path):
    make, dtype = RIGHT[kind]
    models = models_of(make(), tmp_path, dtype=dtype)
    assert any(said in remark for remark in models.remarks())
    assert all(
        v.type.tensor_type.elem_type != TensorProto.FLOAT16 for v in models.prepared.proto.graph.value_info
    )


def outputs_of(proto, folder, **more):
    models = models_of(proto, folder, **more)
    candidate = Candidate(backend="ort", precision=Precision.FP32)
    made = models.exported(candidate, OrtBackend(), 1, trained=True, note=lambda _: None)
    return models, [v.name for v in onnx.load(made.path / made.meta["file"]).graph.output]


def two_heads():
    nodes = [*body(), node("Neg", ["y"], ["other"])]
    return model(nodes, outputs=[value("y", ("N", 3)), value("other", ("N", 3))])


def test_all_outputs_are_kept_the_one_that_is_scored_first(tmp_path):
    models, names = outputs_of(files.with_labels_first(), tmp_path)
    assert names == ["p", "label"]
    assert models.outputs.primary == "p"


def test_the_workload_says_which_of_two_is_meant(tmp_path):
    with pytest.raises(UserError, match=r'outputs="y"'):
        outputs_of(two_heads(), tmp_path)
    assert outputs_of(two_heads(), tmp_path, outputs="y")[1] == ["y", "other"]
    models, names = outputs_of(two_heads(), tmp_path, outputs="other")
    assert names == ["other", "y"]
    with pytest.raises(UserError, match="no better than chance"):
        models.prepare(None)


def test_outputs_that_decide_alike_need_no_question(tmp_path):
    nodes = [*body(), node("Softmax", ["y"], ["p"], axis=1)]
    proto = model(nodes, outputs=[value("y", ("N", 3)), value("p", ("N", 3))])
    assert outputs_of(proto, tmp_path)[1] == ["y", "p"]


def numbers():
    nodes = [*body(y="s"), node("ArgMax", ["s"], ["y"], axis=1, keepdims=0)]
    return model(nodes, outputs=[value("y", ("N",), TensorProto.INT64)])


def test_class_numbers_alone_are_refused_as_accuracy_and_scored_by_a_metric_of_them(tmp_path):
    with pytest.raises(UserError, match=r"no output has one score per class(?s:.*)int64"):
        models_of(numbers(), tmp_path).prepare(None)
    right = Metric(name="right", function=lambda got, labels: float((got == labels).mean()))
    models = models_of(numbers(), tmp_path, metric=right)
    models.prepare(None)
    assert models.teacher_facts()["quality"]["validation"] == 1.0


def with_batch_behind():
    nodes = [*body(y="s"), node("Unsqueeze", ["s", "zero"], ["y"])]
    return model(nodes, {"zero": np.array([0])}, outputs=[value("y", (1, "N", 3))])


def deaf():
    nodes = [*body(y="s"), node("Mul", ["s", "none"], ["y"])]
    return model(nodes, {"none": np.float32(0)})


def not_finite():
    return model([*body(y="s"), node("Sqrt", ["s"], ["y"])])


def texts():
    nodes = [
        *body(y="s"),
        node("ArgMax", ["s"], ["n"], axis=1, keepdims=0),
        node(
            "LabelEncoder",
            ["n"],
            ["y"],
            domain="ai.onnx.ml",
            keys_int64s=[0, 1, 2],
            values_strings=["a", "b", "c"],
        ),
    ]
    return model(nodes, outputs=[value("y", ("N",), TensorProto.STRING)], domains=[("ai.onnx.ml", 3)])


def draws():
    """Noise on the scores: a dropout in training mode."""
    nodes = [
        *body(y="s"),
        node("RandomNormalLike", ["s"], ["noise"], scale=0.01),
        node("Add", ["s", "noise"], ["y"]),
    ]
    return model(nodes)


def test_a_model_that_draws_random_numbers_is_remarked(tmp_path):
    models = models_of(draws(), tmp_path)
    models.prepare(None)
    assert any("two passes" in remark for remark in models.remarks())


REFUSED = {
    "batch behind": (with_batch_behind, r"no sample along axis 0(?s:.*)\[1, 32, 3\]"),
    "output ignores the input": (deaf, "'y' is the same for all samples"),
    "not finite": (not_finite, "not finite"),
    "other labels": (
        lambda: model(weights={"second": files.SECOND[:, ::-1].copy()}),
        "no better than chance",
    ),
    "fewer scores than classes": (
        lambda: model(weights={"second": files.SECOND[:, :2].copy()}, outputs=[value("y", ("N", 2))]),
        r"one score per class(?s:.*)\[N, 3\]",
    ),
    "texts alone": (texts, "no tensors of numbers"),
    "newer opset": (lambda: model(opset=99, ir=13), r"opset 99, it reads up to \d+(?s:.*)convert_version"),
    "newer IR version than onnx's": (lambda: model(ir=99), "IR version|ir_version"),
    "operator of an own domain": (
        lambda: model([node("Foo", ["x"], ["y"], domain="my.dom")], domains=[("my.dom", 1)]),
        r"Foo of the domain 'my\.dom'",
    ),
    "unknown operator": (lambda: model([node("Reluu", ["x"], ["y"])]), "Reluu"),
    "shapes that do not fit": (
        lambda: model(
            [node("MatMul", ["x", "second"], ["h"]), node("MatMul", ["h", "first"], ["y"], name="odd")]
        ),
        r"Node \(odd\)",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_used_is_refused_before_any_budget_is_spent(kind, tmp_path):
    make, message = REFUSED[kind]
    with pytest.raises(UserError, match=message):
        models_of(make(), tmp_path).prepare(None)


def test_the_check_of_an_earlier_run_is_not_made_again(tmp_path):
    models = models_of(model(), tmp_path)
    models.prepare(None)
    (entry,) = (tmp_path / "store").glob("check*/*")
    before = entry.stat().st_mtime_ns
    models_of(model(), tmp_path).prepare(None)
    assert entry.stat().st_mtime_ns == before
