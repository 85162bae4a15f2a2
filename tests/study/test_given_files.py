"""Whole runs on models that are handed in as files in a runtime's own format."""

import numpy as np
import pytest
from contracts import tflite_files as files
from paretune.profiles.errors import UserError
from paretune.search.record.evaluation import Outcome
from paretune.search.run.planned import planned
from paretune.search.run.session import run_study

WORKLOAD = """
from contracts.tflite_files import splits
from paretune import Workload

workload = Workload(name="given", splits=splits, model="model.tflite")
"""


@pytest.fixture
def study(bench):
    def write(model, **parts):
        (bench.root / "given.py").write_text(WORKLOAD)
        (bench.root / "model.tflite").write_bytes(files.packed(model))
        parts = {"space": {}, "budget": {"trials": 2}, "finalists": 1, **parts}
        return bench.study("given", workload="given.py", **parts)

    return write


@pytest.mark.slow
def test_a_quantized_file_is_measured_and_scored_as_it_is(study, bench):
    record = run_study(study(files.dense(int8=True, signatures=()))).record
    (trial,) = [t.evaluation for t in record.trials]
    assert trial.outcome is Outcome.COMPLETE, trial.cause
    assert (str(trial.candidate.precision), trial.candidate.backend) == ("as-given", "tflite")
    data = files.splits().validation
    right = np.mean((data.inputs["x"] @ files.WEIGHT.T).argmax(1) == data.labels)
    assert trial.metrics["accuracy"].value == pytest.approx(right, abs=0.1)
    assert record.teacher["came_as"] == "quantized"
    assert trial.metrics["size_bytes"].value == (bench.root / "model.tflite").stat().st_size


def test_a_float_file_is_offered_at_the_precisions_of_its_own_runtime_and_nowhere_else(study):
    space = planned(study(files.dense())).job.space
    (choices,) = space.backends
    assert choices.name == "tflite"
    assert {"fp32", "int8", "int8-dynamic"} <= set(map(str, choices.precisions))
    refused = {masked.backend: masked.reason for masked in space.masked if masked.what == "all"}
    assert "TFLite" in refused["ort"]
    assert "TFLite" in refused["trt"]


@pytest.mark.parametrize(
    ("model", "parts", "place"),
    [
        (files.dense(batch=4), {}, "deploy.batch"),
        (files.dense(), {"space": {"backend": ["ort"]}}, "space"),
        (files.dense(), {"space": {"sparsity": ["unstructured:0.5"]}}, "space"),
        (files.custom("Mystery"), {}, "model of workload"),
    ],
    ids=["another batch", "another backend alone", "sparsity", "unknown operator"],
)
def test_what_cannot_be_is_refused_before_anything_is_measured(study, model, parts, place):
    with pytest.raises(UserError) as caught:
        planned(study(model, **parts))
    assert place in str(caught.value)
