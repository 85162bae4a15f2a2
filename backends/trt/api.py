"""Which TensorRT is here and what it offers: TensorRT 8.5 to 11, or TensorRT-RTX.

Everything is decided by what the module has, never by its version, with one exception: `weakly_typed`.
`trt` stands for whichever module is installed and is imported on first use; type checkers read it as
`tensorrt`, so that the calls can be checked against the recorded signatures of each version.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import re
from typing import TYPE_CHECKING, Any

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from ..contract.backend import Availability

__all__ = ["trt"]  # imported from elsewhere, the rest is defined here

INSTALL = "pip install 'paretune[tensorrt]'"
_MODULES = ("tensorrt", "tensorrt_rtx")
CUDA_LIBRARY = "nvcuda.dll" if os.name == "nt" else "libcuda.so.1"


def load() -> Any:
    """The installed module: `tensorrt`, else `tensorrt_rtx`.

    Raises:
        UnsupportedError: neither can be imported; the message has both reasons.
    """
    reasons = []
    for name in _MODULES:
        try:
            return importlib.import_module(name)
        except (ImportError, OSError) as error:  # OSError: a shared library of it is missing
            reasons.append(f"{name}: {error}")
    raise UnsupportedError(
        f"trt: no TensorRT here ({'; '.join(reasons)}). To install: "
        f"{INSTALL} (TensorRT-RTX), or NVIDIA's own packages of TensorRT"
    )


class _Lazy:
    """Passes every name on to the installed module."""

    def __getattr__(self, name: str) -> Any:
        return getattr(load(), name)


if TYPE_CHECKING:
    import tensorrt as trt
else:
    trt = _Lazy()


def version() -> tuple[int, ...]:
    """The version in numbers, such as (10, 3, 0)."""
    return tuple(int(number) for number in re.findall(r"\d+", str(trt.__version__))[:3])


def is_rtx() -> bool:
    """Whether this is TensorRT-RTX: it names target devices and builds without a GPU."""
    return hasattr(trt, "ComputeCapability")


def weakly_typed() -> bool:
    """Whether precisions are chosen by builder flags; otherwise the graph carries every type.

    The one rule by version: 10.12 to 10.x still has the flags, but NVIDIA deprecates them there.
    """
    return hasattr(trt.BuilderFlag, "INT8") and version() < (10, 12)


def network_flags() -> int:
    """The bits to create a network with."""
    kinds = trt.NetworkDefinitionCreationFlag
    if weakly_typed() and hasattr(kinds, "EXPLICIT_BATCH"):
        return 1 << int(kinds.EXPLICIT_BATCH)
    if not weakly_typed() and hasattr(kinds, "STRONGLY_TYPED"):
        return 1 << int(kinds.STRONGLY_TYPED)
    return 0


def has_wide_types() -> bool:
    """Whether bfloat16, int64 and standard ONNX fp8 are known (TensorRT 10 on)."""
    return hasattr(trt.DataType, "BF16") and hasattr(trt.DataType, "INT64")


def newest_opset() -> int:
    """The newest ONNX operator set that the parser of this TensorRT surely reads."""
    if not hasattr(trt.BuilderFlag, "INT8"):  # TensorRT 11, TensorRT-RTX
        return 24
    if hasattr(trt.DataType, "FP4"):  # 10.8 on
        return 22
    return 20 if has_wide_types() else 17


def refusal(precision: Precision) -> str:
    """Why this TensorRT cannot build the precision; empty where it can."""
    if precision in (Precision.FP32, Precision.FP16, Precision.INT8):
        return ""
    if precision is Precision.INT4_WEIGHT:
        return "" if hasattr(trt.DataType, "INT4") else _too_old("int4-weight")
    if precision in (Precision.BF16, Precision.FP8):
        flagged = weakly_typed() and not hasattr(trt.BuilderFlag, precision.name)
        return _too_old(str(precision)) if flagged or not has_wide_types() else ""
    return f"trt: TensorRT has no {precision}; it has fp32, fp16, bf16, int8, fp8 and int4-weight"


def _too_old(what: str) -> str:
    return f"trt: {what} needs TensorRT 10 or later; this is {trt.__version__}"


def availability() -> Availability:
    """Which module is here, and whether a GPU is there to run engines. Never raises."""
    try:
        module = load()
        label = f"{module.__name__} {module.__version__}"
    except Exception as error:  # a broken installation may raise anything
        return Availability(installed=False, reason=str(error), install=INSTALL)
    missing = device_problem()
    if not missing:
        return Availability(installed=True, version=label)
    can = "engines can be built but not run here" if is_rtx() else "engines can be neither built nor run here"
    return Availability(installed=True, version=label, reason=f"{missing}: {can}")


def device_problem() -> str:
    """Why no NVIDIA GPU can be used here; empty where one can."""
    try:
        driver = ctypes.CDLL(CUDA_LIBRARY)
    except OSError:
        return f"no NVIDIA driver ({CUDA_LIBRARY} not found)"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return "no NVIDIA GPU that the driver can use"
    return ""


def device_target() -> str:
    """Compute capability of the first GPU as "sm86"; empty where there is none."""
    if device_problem():
        return ""
    driver = ctypes.CDLL(CUDA_LIBRARY)
    parts = []
    for attribute in (75, 76):  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR
        value = ctypes.c_int(0)
        if driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, 0) != 0:
            return ""
        parts.append(str(value.value))
    return f"sm{''.join(parts)}"
