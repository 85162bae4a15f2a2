"""ONNX files in the format of backends that do not read ONNX: tried once, compared, else masked."""

from dataclasses import replace

import numpy as np
import pytest
from contracts.onnx_files import model, models_of, with_labels_first
from paretune.backends.registry import get_backend
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.errors import StageError, UserError
from paretune.profiles.precision import Precision
from paretune.search.job.space_of_a_job import build_space
from paretune.search.job.study_file import load_study_file
from paretune.search.record.candidate import Candidate
from paretune.search.space.space import BackendChoices

HERE = "contracts.other_format:"


def exported(models, name, batch=1):
    backend = get_backend(HERE + name)
    candidate = Candidate(backend=HERE + name, precision=Precision.FP32)
    return models.exported(candidate, backend, batch, trained=True, note=lambda _: None)


def space_of(models, *names):
    (models.path.parent / "study.yaml").write_text("name: s\nworkload: w.py\nbudget: {trials: 3}\n")
    study, profile = load_study_file(models.path.parent / "study.yaml"), load_profile("x86-avx2")
    asked = study.space.model_copy(update={"backend": [HERE + n if n[0].isupper() else n for n in names]})
    study = study.model_copy(update={"space": asked})
    return build_space(study, profile, models.loaded.workload, models.path)


def test_what_a_backend_makes_of_the_file_is_kept_in_its_format(tmp_path):
    models = models_of(model(), tmp_path)
    entry = exported(models, "Faithful")
    assert entry.meta["format"] == "other"
    assert entry.file(entry.meta["file"]).read_bytes() == models.usable.content
    assert exported(models, "Faithful").key == entry.key


def test_a_wrong_conversion_is_caught(tmp_path):
    with pytest.raises(StageError, match="disagrees with the ONNX file"):
        exported(models_of(model(), tmp_path), "Crooked")


def test_backends_that_a_model_cannot_be_brought_to_are_masked_with_the_reason(tmp_path):
    models = models_of(model(), tmp_path)
    space = space_of(models, "ort", "Faithful", "Crooked", "Unable", "Absent")
    left = models.possible(space, 1).space
    assert [choices.name for choices in left.backends if choices.precisions] == ["ort", HERE + "Faithful"]
    why = {masked.backend: masked.reason for masked in left.masked if masked.what == "all"}
    assert "disagrees" in why[HERE + "Crooked"]
    assert "Relu" in why[HERE + "Unable"]
    assert "pip install converter" in why[HERE + "Absent"]


def test_where_no_backend_is_left_the_study_ends_with_the_reason(tmp_path):
    models = models_of(model(), tmp_path)
    with pytest.raises(UserError, match="Relu"):
        models.possible(space_of(models, "Unable"), 1)


def test_what_needs_no_conversion_is_left_as_it_is(tmp_path):
    models = models_of(model(), tmp_path)
    space = space_of(models, "ort")
    none = BackendChoices(name=HERE + "Unable", precisions=(), calibration_methods=(), sparsities=("dense",))
    assert models.possible(replace(space, backends=(*space.backends, none)), 1).space.masked == space.masked


def test_outputs_of_whole_numbers_are_compared_too(tmp_path):
    models = models_of(with_labels_first(), tmp_path)
    assert {np.dtype(a.dtype).kind for a in models.usable.few.values()} == {"i", "f"}
    with pytest.raises(StageError):
        exported(models, "Crooked")
