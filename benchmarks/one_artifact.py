"""A model compiled in float for one backend of this machine, as benchmarks of sessions want it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
from paretune.backends.contract.backend import ONNX, CompileSettings, SourceModel
from paretune.backends.registry import get_backend, probes
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.precision import Precision


def compiled(name: str, made: onnx.ModelProto, feed: dict[str, Any], folder: Path) -> Path:
    """The model's artifact."""
    backend, source = get_backend(name), folder / "model.onnx"
    source.write_bytes(made.SerializeToString())
    if backend.source_format != ONNX:
        own = folder / f"model.{backend.source_format}"
        backend.from_onnx(source, feed, 1, own)
        source = own
    target = backend.target(load_profile("host", folder, probes()))
    settings = CompileSettings(precision=Precision.FP32, batch=1, check=False, target=target)
    into = folder / "made"
    into.mkdir()
    with RunnerClient(LocalLaunch()) as runner:
        asked = SourceModel(path=source, format=backend.source_format)
        return runner.compile(name, asked, settings, feed, into).path
