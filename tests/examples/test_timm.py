"""The example on timm. It and torchvision stay out of the environment of `make setup`: a torchvision that was
built for another torch breaks the import of models of transformers there."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from paretune.backends.contract.backend import CompileSettings
from paretune.backends.registry import get_backend
from paretune.backends.tflite.backend import TfliteBackend
from paretune.profiles.precision import Precision
from paretune.search.stages.models.export import export
from paretune.search.stages.models.model_checks import check_model
from paretune.search.workload.loader import load_workload
from paretune.search.workload.split_checks import check_splits

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("timm", "torchvision")),
        reason="timm and torchvision go into an environment of their own: pip install '.[dev,timm]'",
    ),
]

EXAMPLES = Path(__file__).parents[2] / "examples"


def shape_of(outputs):
    return next(iter(outputs.values())).shape[1:]


def loaded(name, **options):
    return load_workload(name, EXAMPLES, options)


def test_a_model_of_timm_is_a_teacher():
    workload = loaded("timm_model.py", model="test_resnet", epochs=0)
    check_splits(workload.splits)
    teacher = workload.workload.teacher()
    assert shape_of(check_model(teacher, workload.splits.train, workload.workload.metric, "teacher")) == (10,)


def test_a_model_of_timm_is_calibrated_by_percentile(tmp_path):
    # Its pooling is padded with minus infinity, up to which no histogram can count.
    workload = loaded("timm_model.py", model="resnet10t", epochs=0)
    data = {"image": workload.splits.calibration.inputs["image"][:16]}
    torch.manual_seed(0)
    source = export(workload.workload.teacher().eval(), data, get_backend("tflite"), 1, tmp_path)
    (tmp_path / "compiled").mkdir()
    settings = CompileSettings(precision=Precision.INT8, batch=1, calibration_method="percentile")
    artifact = TfliteBackend().compile(source, settings, data, tmp_path / "compiled")
    assert artifact.size_bytes < 0.3 * source.path.stat().st_size
