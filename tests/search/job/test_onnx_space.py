"""What a study can search on a model that exists only as ONNX: by what its file holds."""

import numpy as np
import pytest
from contracts import onnx_files as files
from paretune.backends.onnx_graph.given import given
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.precision import Precision
from paretune.search.job.space_of_a_job import build_space
from paretune.search.job.study_file import load_study_file
from paretune.search.workload.workload import Workload

STUDY = "name: s\nworkload: w.py\nbudget: {trials: 3}\nspace: {backend: [ort]}\n"


def space_of(proto, folder):
    path = folder / "model.onnx"
    path.write_bytes(proto.SerializeToString())
    (folder / "study.yaml").write_text(STUDY)
    workload = Workload(name="w", splits=lambda: None, onnx=path)
    return build_space(load_study_file(folder / "study.yaml"), load_profile("x86-avx2"), workload, path)


def precisions(space):
    return {str(precision) for backend in space.backends for precision in backend.precisions}


def test_a_float_model_is_searched_at_all_precisions(tmp_path):
    assert precisions(space_of(files.model(), tmp_path)) >= {"fp32", "fp16", "int8", "int4-weight"}


@pytest.mark.parametrize("kind", [files.HALF, files.DOUBLE])
def test_so_is_one_in_another_float_type(kind, tmp_path):
    assert "fp32" in precisions(space_of(files.in_other_float(kind), tmp_path))


def test_a_quantized_model_is_measured_as_it_is_and_the_rest_is_masked(tmp_path):
    space = space_of(files.quantized(), tmp_path)
    assert precisions(space) == {"as-given"}
    assert [str(candidate.precision) for candidate in space.baselines()] == ["as-given"]
    reasons = {masked.what: masked.reason for masked in space.masked}
    assert {"fp32", "int8"} <= set(reasons)
    assert "DequantizeLinear" in reasons["fp32"]


def test_trees_have_no_weights_that_another_precision_could_change(tmp_path):
    space = space_of(files.trees(), tmp_path)
    assert precisions(space) == {"fp32"}
    assert {"fp16", "int8", "int8-dynamic", "int4-weight"} <= {masked.what for masked in space.masked}


def test_a_file_that_is_no_model_fits_everything_here(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"no model")
    assert not given(tmp_path / "model.onnx").unfit(Precision.INT8)


def test_trees_are_scored_by_their_probabilities(tmp_path):
    models = files.models_of(files.trees(), tmp_path)
    for _, split in models.loaded.splits.items():
        split.labels[:] = (split.inputs["x"][:, 0] > 0).astype(np.int64)
    models.prepare(None)
    assert models.teacher_facts()["quality"]["validation"] == 1.0
    assert models.outputs.primary == "p"
