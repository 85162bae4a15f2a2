"""What a build is told beside its graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from .api import device_target, trt, weakly_typed

WORKSPACE_BYTES = 1 << 30


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """What decides a plan beside the graph.

    `batches` are the smallest, the best-served and the largest batch of inputs with a free first axis.
    `target` is "" for this machine's GPU or a compute capability such as "sm86". `timing_cache` is a file
    of kernel timings that is read, extended and shared between builds. `level` is how hard the builder looks
    for quick kernels (None: as it does by itself).
    """

    precision: Precision
    batches: tuple[int, int, int] = (1, 1, 1)
    nm_sparsity: bool = False
    target: str = ""
    timing_cache: Path | None = None
    workspace_bytes: int = WORKSPACE_BYTES
    level: int | None = None


def configure(config: trt.IBuilderConfig, options: BuildOptions) -> None:
    """Memory limit, verbosity, precision flags of weakly typed builds, sparsity, level and target device.

    Raises:
        UnsupportedError: this TensorRT does not take one of them.
    """
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, options.workspace_bytes)
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if options.precision is Precision.FP32:
        config.clear_flag(trt.BuilderFlag.TF32)  # 10 bits of mantissa are no honest float32
    if options.nm_sparsity:
        config.set_flag(trt.BuilderFlag.SPARSE_WEIGHTS)
    if weakly_typed():
        _set_precision_flags(config, options.precision)
    _set_level(config, options.level)
    _set_target(config, options.target)


def _set_level(config: trt.IBuilderConfig, level: int | None) -> None:
    """Before 8.6 there are no levels.

    Raises:
        UnsupportedError: it is not taken.
    """
    if level is None:
        return
    if not hasattr(config, "builder_optimization_level"):
        raise UnsupportedError(f"trt: TensorRT {trt.__version__} has no optimization levels")
    config.builder_optimization_level = level
    if config.builder_optimization_level != level:
        raise UnsupportedError(
            f"trt: TensorRT {trt.__version__} does not take the optimization level {level}"
        )


def _set_precision_flags(config: trt.IBuilderConfig, precision: Precision) -> None:
    """Weakly typed builds: permissions to leave float32. Quantized nets keep float16 for the other layers."""
    if precision is Precision.BF16 and hasattr(trt.BuilderFlag, "BF16"):
        config.set_flag(trt.BuilderFlag.BF16)
    elif precision is not Precision.FP32 and hasattr(trt.BuilderFlag, "FP16"):
        config.set_flag(trt.BuilderFlag.FP16)
    if precision is Precision.INT8 and hasattr(trt.BuilderFlag, "INT8"):
        config.set_flag(trt.BuilderFlag.INT8)
    if precision is Precision.FP8 and hasattr(trt.BuilderFlag, "FP8"):
        config.set_flag(trt.BuilderFlag.FP8)
    if precision is Precision.INT4_WEIGHT and hasattr(trt.BuilderFlag, "INT4"):
        config.set_flag(trt.BuilderFlag.INT4)


def _set_target(config: trt.IBuilderConfig, target: str) -> None:
    """Choose the device to build for; only TensorRT-RTX can build for another one than this machine's."""
    if not target:
        return
    if not hasattr(trt, "ComputeCapability"):
        if device_target() != target.lower():
            here = device_target() or "no GPU"
            raise UnsupportedError(
                f"trt: TensorRT builds on the device alone: {target} is wanted, {here} is here"
            )
        return
    known = trt.ComputeCapability.__members__
    if target.upper() not in known:
        offered = ", ".join(name.lower() for name in known if name.startswith("SM"))
        raise UnsupportedError(f"trt: TensorRT-RTX cannot build for {target}; it builds for {offered}")
    if hasattr(config, "num_compute_capabilities") and hasattr(config, "set_compute_capability"):
        config.num_compute_capabilities = 1
        config.set_compute_capability(known[target.upper()], 0)
