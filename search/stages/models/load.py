"""The kind of models that a workload brings."""

from __future__ import annotations

from ...record.progress import Progress
from ...workload.loader import LoadedWorkload
from .base import Models


def load_models(loaded: LoadedWorkload, progress: Progress, threads: int | None) -> Models:
    """The kind of models that the workload brings."""
    from .onnx_models import OnnxModels  # here, as both are built on this module
    from .torch_models import TorchModels

    if loaded.workload.onnx is not None:
        return OnnxModels(loaded, progress)
    return TorchModels(loaded, progress, threads)
