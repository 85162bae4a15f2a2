"""Small ONNX models for the room's tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.contract.backend import SourceModel

WIDTH = 256


def dense(path: Path, seed: int = 0) -> SourceModel:
    """One matrix product with a bias."""
    weight = np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)).astype(np.float32)
    return written(
        path,
        [helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Add", ["h", "b"], ["output"])],
        {"w": weight, "b": weight[0]},
        outputs=("output",),
    )


def written(path: Path, nodes: list, constants: dict, outputs: tuple[str, ...]) -> SourceModel:
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WIDTH])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return SourceModel(path=path, format="onnx")


@pytest.fixture
def model(tmp_path: Path) -> SourceModel:
    return dense(tmp_path / "model.onnx")


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[str], Path]:
    def made(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    return made
