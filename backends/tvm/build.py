"""Machine code out of a module of functions in loops."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from .link import link


def lowered(module: Any, target: Any) -> Any:
    """An executable of TVM's virtual machine for `target`, its steps compiled too: quicker to call."""
    import tvm
    from tvm import relax
    from tvm.relax.backend.cpu_generic import pipeline

    passes = [*pipeline.dataflow_lower_passes(target), *pipeline.finalize_passes(target)]
    with target, tvm.transform.PassContext(opt_level=3):
        return relax.build(
            module, target=target, relax_pipeline=tvm.transform.Sequential(passes), exec_mode="compiled"
        )


def library(executable: Any, architecture: str) -> bytes:
    """The executable as a shared library.

    Raises:
        UnsupportedError: no linker for the architecture is installed here.
        StageError: the linker failed.
    """

    def linked(output: str, objects: list[str], **_: Any) -> None:
        link([Path(name) for name in objects], Path(output), architecture)

    with tempfile.TemporaryDirectory(prefix="paretune-tvm-") as folder:
        made = Path(folder) / "model.so"
        executable.export_library(str(made), fcompile=linked, workspace_dir=folder)
        return made.read_bytes()
