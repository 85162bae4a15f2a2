"""The shipped examples, on their real data."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from paretune.profiles.errors import UserError
from paretune.search.record.candidate import Recipe
from paretune.search.record.progress import Progress
from paretune.search.stages.models.torch_models import TorchModels
from paretune.search.store.store import Store
from paretune.search.workload.loader import load_workload
from paretune.search.workload.split_checks import check_onnx, check_splits

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_digits_splits_are_sound():
    splits = load_workload("digits.py", EXAMPLES).splits
    check_splits(splits)
    assert [len(split) for _, split in splits.items()] == [4500, 180, 357, 360]
    assert splits.train.inputs["image"].shape[1:] == (1, 8, 8)


@pytest.mark.slow
def test_the_digits_data_is_the_same_in_every_process():
    code = (
        "from pathlib import Path; from paretune.search.workload.loader import load_workload;"
        f"print(load_workload('digits.py', Path({str(EXAMPLES)!r})).data_digests)"
    )
    outputs = {subprocess.run([sys.executable, "-c", code], capture_output=True).stdout for _ in range(2)}
    assert outputs == {f"{load_workload('digits.py', EXAMPLES).data_digests}\n".encode()}


@pytest.mark.slow
def test_the_digits_teacher_reaches_its_accuracy_on_test(tmp_path):
    loaded = load_workload("digits.py", EXAMPLES)
    models = TorchModels(loaded, Store(tmp_path), Progress(), threads=1)
    sizes = [(("depth", depth), ("width", width)) for width in (0.25, 0.5, 1.0) for depth in (1, 2)]
    models.prepare_students(sizes, Recipe(epochs=1))
    entry = models.teacher.entry()
    assert 1_000_000 < entry.meta["parameters"] < 1_300_000
    assert models.networks.quality(models.teacher.model(), loaded.splits.test) >= 0.985


@pytest.fixture
def copied(tmp_path):
    """The examples in a directory of their own, where they may write."""
    for name in ("digits.py", "onnx_only.py"):
        shutil.copy(EXAMPLES / name, tmp_path)
    return tmp_path


def test_the_onnx_example_says_how_to_make_its_model(copied):
    with pytest.raises(UserError, match=r"(?s)ONNX file does not exist.*python examples/onnx_only\.py"):
        load_workload("onnx_only.py", copied)


@pytest.mark.slow
def test_the_onnx_example_makes_a_model_that_its_splits_fit(copied):
    result = subprocess.run([sys.executable, copied / "onnx_only.py"], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    loaded = load_workload("onnx_only.py", copied)
    path = loaded.given
    check_onnx(path, loaded.splits, loaded.workload)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    test = loaded.splits.test
    outputs = session.run(None, dict(test.inputs))[0]
    assert np.mean(outputs.argmax(axis=1) == test.labels) > 0.97
