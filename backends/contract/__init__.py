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
    Maker,
    Session,
    SourceModel,
    TensorSpec,
)
from .compiling import Compiler, Converted, of_batch
from .given import GivenFile, GivenTensor
from .options import RuntimeOption, chosen
from .tuning import Tuning

__all__ = [
    "Artifact",
    "Availability",
    "Backend",
    "CalibrationData",
    "CompileSettings",
    "Compiler",
    "Converted",
    "Feed",
    "GivenFile",
    "GivenTensor",
    "LayerGroup",
    "Maker",
    "RuntimeOption",
    "Session",
    "SourceModel",
    "TensorSpec",
    "Tuning",
    "chosen",
    "of_batch",
]
