"""Engines for real, on a machine with an NVIDIA GPU: the bodies are those of the recorded versions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from paretune.backends.trt import api as trt_api
from paretune.backends.trt.backend import TrtBackend
from paretune.backends.trt.device_memory import DeviceMemory
from paretune.profiles.precision import Precision
from trt.trt_checks import check_engine, compiled
from trt.trt_models import NETS, halve

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(bool(trt_api.device_problem()), reason=trt_api.device_problem() or "has a GPU"),
    pytest.mark.skipif(not trt_api.availability().installed, reason="no TensorRT is installed"),
]


def offered():
    target = trt_api.device_target()
    number = int(target.removeprefix("sm") or 0)
    least = {
        Precision.FP32: 50,
        Precision.FP16: 53,
        Precision.INT8: 70,
        Precision.BF16: 80,
        Precision.FP8: 89,
    }
    return [precision for precision, sm in least.items() if number >= sm]


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("precision", offered())
def test_engine_agrees_with_pytorch(net, precision, samples, tmp_path):
    if trt_api.refusal(precision):
        pytest.skip(trt_api.refusal(precision))
    check_engine(samples[net], precision, tmp_path)


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("precision", [Precision.FP16, Precision.INT8])
def test_two_of_four_runs(net, precision, samples, tmp_path):
    if int(trt_api.device_target().removeprefix("sm")) < 80:
        pytest.skip("2:4 sparsity needs sm_80")
    sample = halve(samples[net], tmp_path)
    artifact = compiled(sample, tmp_path, precision=precision, nm_sparsity=True)
    name, data = next(iter(sample.data.items()))
    with TrtBackend().open(artifact.path, batch=4, threads=1) as session:
        assert np.isfinite(session.run({name: data[:4]})["logits"]).all()


def test_memory_goes_to_the_device_and_back_beside_pytorch():
    if torch.cuda.is_available():
        torch.zeros(1, device="cuda")  # PyTorch holds the same primary context
    memory = DeviceMemory(trt_api.CUDA_LIBRARY)
    source, target = memory.host_bytes(5000), memory.host_bytes(5000)
    source[:] = np.arange(5000) % 253
    target[:] = 0
    address = memory.device_bytes(5000)
    memory.to_device(address, source)
    memory.to_host(target, address)
    memory.synchronize()
    np.testing.assert_array_equal(source, target)
    memory.close()
    if torch.cuda.is_available():
        assert torch.ones(2, device="cuda").sum() == 2


def test_layers_are_read_back(samples, tmp_path):
    artifact = compiled(samples["cnn"], tmp_path, precision=Precision.INT8)
    assert any(note.startswith("the engine has ") for note in artifact.notes)
