"""Fixtures of the TensorRT tests: exported nets, a recorded version as the installed one, a driver stub."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from paretune.backends.trt import api as trt_api
from trt.trt_fake import fake_tensorrt
from trt.trt_models import NETS, Sample, make
from trt.trt_stubs import recorded

HERE = Path(__file__).parents[2] / "trt"


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("onnx")
    return {name: make(name, folder) for name in (*NETS, "odd")}


@pytest.fixture(scope="session")
def driver_stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A compiled `libcuda` without a device."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, HERE / "libcuda_stub.c"], check=True)
    return library


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without an NVIDIA driver, whatever this one has."""
    monkeypatch.setattr(trt_api, "CUDA_LIBRARY", "libcuda-that-is-not-here.so.1")


@pytest.fixture
def driver(driver_stub: Path, no_gpu: None, monkeypatch: pytest.MonkeyPatch) -> ctypes.CDLL:
    """The stub in place of the driver; every test starts with nothing allocated."""
    monkeypatch.setattr(trt_api, "CUDA_LIBRARY", str(driver_stub))
    stub = ctypes.CDLL(str(driver_stub))
    stub.stub_fail_alloc(0)
    assert (stub.stub_live(), stub.stub_contexts()) == (0, 0), "an earlier test leaked"
    return stub


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ModuleType]:
    """Make a recorded version the one that `import tensorrt` gives."""

    def install(version: str, *, device: bool = True) -> ModuleType:
        module = fake_tensorrt(recorded(version), device=device)
        monkeypatch.setitem(sys.modules, "tensorrt", module)
        return module

    return install


@pytest.fixture
def rtx(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The real TensorRT-RTX, also where TensorRT is installed beside it."""
    module = pytest.importorskip("tensorrt_rtx")
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    return module
