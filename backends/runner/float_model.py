"""The float model of an artifact, asked on this machine: where the artifact itself does not run here."""

from __future__ import annotations

from dataclasses import asdict

from ...profiles.precision import Precision
from ..contract.backend import Array, CalibrationData, CompileSettings, SourceModel
from . import replies
from .client import RunnerClient
from .frames import MAX_ARRAY_BYTES
from .reading import flag


def float_outputs(
    runner: RunnerClient, backend: str, model: SourceModel, batch: int, data: CalibrationData, seconds: float
) -> dict[str, Array]:
    """What the float model gives for all samples (axis 0) in a runner of this machine within so many
    seconds; nothing where the backend cannot run it here."""
    settings = CompileSettings(precision=Precision.FP32, batch=batch)
    body = {
        "backend": backend,
        "path": str(model.path.resolve()),
        "format": model.format,
        "settings": {**asdict(settings), "precision": str(settings.precision)},
        "calibrated": True,
    }
    reply = runner.ask("float", seconds, body, data, most=MAX_ARRAY_BYTES)
    return replies.outputs([reply]) if reply.read("runs", flag) else {}
