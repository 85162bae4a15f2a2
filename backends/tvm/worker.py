"""What the processes that build and measure schedules do. Nothing of this package is imported there: these
functions are sent to them whole."""

from __future__ import annotations

from typing import Any


def load_intrinsics(architecture: str) -> None:
    """Register the vector instructions of one architecture.

    Asked for as the package that has them all, it parses those of GPUs too, which takes a minute; each
    process that builds asks for it, and every build then ends by its time limit.
    """
    import sys
    import types
    from importlib import import_module
    from pathlib import Path

    import tvm

    name = "tvm.s_tir.tensor_intrin"
    if name not in sys.modules:
        package = types.ModuleType(name)
        package.__path__ = [str(Path(tvm.__file__).parent / "s_tir" / "tensor_intrin")]
        sys.modules[name] = package
    import_module(f"{name}.{'x86' if architecture == 'x86-64' else 'arm_cpu'}")


def build(module: Any, target: Any, linker: tuple[str, ...], folder: str) -> str:
    """Build one scheduled function into a library in a new folder below `folder`; the library's path."""
    import subprocess
    import tempfile
    from pathlib import Path

    from tvm.driver import build as tvm_build
    from tvm.s_tir.transform import RemoveWeightLayoutRewriteBlock

    def link(output: str, objects: list[str], **_: Any) -> None:
        subprocess.run([*linker, "-o", output, *objects], check=True, capture_output=True)

    built = tvm_build(RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(module), target=target)
    path = Path(tempfile.mkdtemp(dir=folder)) / "schedule.so"
    built.export_library(str(path), fcompile=link)
    return str(path)


def least(module: Any, device: Any, config: Any, arguments: Any) -> list[float]:
    """Seconds of the fastest repetition: other processes only ever add to it."""
    from tvm.s_tir.meta_schedule.runner.utils import run_evaluator_common

    return [min(run_evaluator_common(module, device, config, arguments))]
