"""What a runtime must do, and the frame that does the rest.

These names are what a backend in another package imports.
"""

from .backend import (
    Artifact,
    Availability,
    Backend,
    CalibrationData,
    CompileSettings,
    Feed,
    LayerGroup,
    Session,
    SourceModel,
    TensorSpec,
)

__all__ = [
    "Artifact",
    "Availability",
    "Backend",
    "CalibrationData",
    "CompileSettings",
    "Feed",
    "LayerGroup",
    "Session",
    "SourceModel",
    "TensorSpec",
]
