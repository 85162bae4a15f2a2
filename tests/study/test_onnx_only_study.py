"""Whole runs on ONNX files of special kinds."""

import numpy as np
import pytest
from contracts import onnx_files as files
from paretune.search.record.evaluation import Outcome
from paretune.search.run.session import run_study

WORKLOAD = """
from pathlib import Path
from contracts.onnx_files import splits
from paretune import Workload

workload = Workload(name="given", splits=splits, onnx=Path("model.onnx"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("make", [files.quantized, files.with_labels_first])
def test_a_run_names_the_model_for_what_it_is_and_scores_it_right(make, bench):
    (bench.root / "given.py").write_text(WORKLOAD)
    (bench.root / "model.onnx").write_bytes(make().SerializeToString())
    space = {"backend": ["ort"], "precision": ["fp32"]}
    study = bench.study("given", workload="given.py", space=space, budget={"trials": 2}, finalists=1)
    record = run_study(study).record
    (trial,) = [t.evaluation for t in record.trials if t.evaluation.outcome is Outcome.COMPLETE]
    data = files.splits().validation
    wanted = float(np.mean(files.scores(data.inputs["x"]).argmax(1) == data.labels))
    quantized = make is files.quantized
    assert str(trial.candidate.precision) == ("as-given" if quantized else "fp32")
    assert trial.metrics["accuracy"].value == pytest.approx(wanted, abs=0.05 if quantized else 0)
    assert record.teacher["came_as"] == ("quantized" if quantized else "float32")
    assert any("handed in quantized" in remark for remark in record.remarks) == quantized


OUTLIER = """
from pathlib import Path
from contracts import onnx_files as files
from paretune import Split, Splits, Workload


def splits():
    found = {}
    for name, split in files.splits().items():
        x = split.inputs["x"].copy()
        x[:, 1] = 0
        labels = files.scores(x).argmax(1)
        x[:, 1] = 1e4 * split.inputs["x"][:, 1]
        found[name] = Split(inputs={"x": x}, labels=labels)
    return Splits(**found)


workload = Workload(name="given", splits=splits, onnx=Path("model.onnx"))
"""


def deaf_to_one_input():
    """One input is far larger than the others and is not read: in 8 bits, the others are lost with it. Most
    weights are in two layers behind, there and back through a wider one."""
    first, wide = files.FIRST.copy(), files.RNG.normal(size=(8, 512)).astype(np.float32)
    first[1] = 0
    nodes = [
        *files.body()[:2],
        files.node("MatMul", ["r", "wide"], ["w"]),
        files.node("MatMul", ["w", "back"], ["b"]),
        files.node("MatMul", ["b", "second"], ["y"]),
    ]
    weights = {"first": first, "wide": wide, "back": np.linalg.pinv(wide).astype(np.float32)}
    return files.model(nodes, weights)


@pytest.mark.slow
def test_what_static_quantization_breaks_gets_float_layers_before_it_counts_as_failed(bench):
    (bench.root / "given.py").write_text(OUTLIER)
    (bench.root / "model.onnx").write_bytes(deaf_to_one_input().SerializeToString())
    space = {"backend": ["ort"], "precision": ["fp32", "int8"], "calibration": {"samples": 60}}
    study = bench.study("given", workload="given.py", space=space, budget={"trials": 2}, finalists=1)
    record = run_study(study).record
    (int8,) = [t.evaluation for t in record.trials if str(t.evaluation.candidate.precision) == "int8"]
    assert int8.outcome is Outcome.COMPLETE, int8.cause
    assert [rung.name for rung in int8.ladder if rung.kept] == ["mixed-precision"]
    assert int8.ladder[-1].before < 0.8
    assert int8.metrics["accuracy"].value > 0.95
    assert int8.treatment.keep_float
