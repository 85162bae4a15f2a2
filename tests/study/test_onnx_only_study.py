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
