"""What exporters look up, read and write once: it is what they would have found or written each time."""

import sys
from importlib import import_module
from types import ModuleType

import numpy as np
import pytest
import torch
from paretune.backends.registry import get_backend
from paretune.search.stages.models.export import export, export_onnx
from paretune.search.stages.models.exporters import unhindered
from torch import nn

SAMPLE = {"x": np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)}


class Net(nn.Module):
    """Operators with whole numbers, the same ones with fractions, and twice the same."""

    def forward(self, x):
        clipped = x.clamp(0, 1) + torch.clamp(x, 0.0, 1.0)
        return clipped.softmax(-1) * 2 + x.softmax(-1) * 2.0 + x.roll(1, 1) + x.roll(1, 1).softmax(0)


def composite():
    return import_module("torch._export.utils")._collect_all_valid_cia_ops()


def test_operators_that_come_between_two_exports_or_with_an_import_are_found(monkeypatch):
    library = torch.library.Library("paretune_tested", "FRAGMENT")

    def made(name):
        library.define(f"{name}(Tensor x) -> Tensor")
        library.impl(name, lambda x: x * 2, "CompositeImplicitAutograd")
        return getattr(torch.ops.paretune_tested, name).default

    with unhindered():
        first = composite()
    early = made("early")
    with unhindered():
        assert early in composite() - first
        monkeypatch.setitem(sys.modules, "paretune_tested_library", ModuleType("paretune_tested_library"))
        late = made("late")
        assert late in composite()
    assert made("outside") in composite()


def test_a_table_of_onnx_operators_that_someone_adds_to_is_his_alone(tmp_path):
    export_onnx(Net(), SAMPLE, tmp_path)
    tables = import_module("torch.onnx._internal.exporter._registration").ONNXRegistry
    mine, before = tables.from_torchlib(), {**tables.from_torchlib().functions}
    operator, known = next(iter(before.items()))
    mine.functions[operator].append("mine")
    mine.functions["another"] = []
    other = tables.from_torchlib()
    assert (other.functions.keys(), other.functions[operator]) == (before.keys(), known)


@pytest.mark.slow
def test_tflite_files_are_those_that_are_written_anew(tmp_path, monkeypatch):
    backend = get_backend("tflite")
    files = [export(Net(), SAMPLE, backend, 1, tmp_path).path.read_bytes() for _ in range(2)]
    bridge = import_module("litert_torch.backend.jax_bridge._wrap")
    for name in ("_lower_to_ir_text", "_stablehlo_to_vhlo"):
        monkeypatch.setattr(bridge, name, getattr(bridge, name).__wrapped__)
    assert {*files} == {export(Net(), SAMPLE, backend, 1, tmp_path).path.read_bytes()}
