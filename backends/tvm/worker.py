"""What the processes that build and measure schedules do. Nothing of this package is imported there: these
functions are sent to them whole."""

from __future__ import annotations

from typing import Any


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
