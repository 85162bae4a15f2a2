"""Apache TVM on the CPU: machine code for one processor, in one file.

Compiling needs onnx, apache-tvm and a linker, running numpy, tvm_ffi and TVM's runtime library alone. Batch
and processor are part of the artifact. It is machine code: whoever loads it runs it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ...profiles.errors import StageError, UnsupportedError
from ...profiles.packages import versions
from ...profiles.precision import Precision
from ..contract.agreement import check_agreement
from ..contract.backend import Availability, CalibrationData, CompileSettings, Session, SourceModel
from ..contract.compiling import Compiler, Converted, of_batch
from ..contract.options import USUAL, Options, RuntimeOption
from ..contract.tuning import Tuning
from ..onnx_graph.session import RUNTIME, OrtSession
from .processor import HALF, Processor, of_profile, of_target, this_one
from .session import LIBRARY, SPINNING, TvmSession, load_runtime, runtime_library

if TYPE_CHECKING:
    from ...profiles.devices.schema import Profile

_OFFERED = (Precision.FP32, Precision.FP16)
_FLOAT = "its quantize and dequantize operators compute in floating point, which is no faster than fp32"


class TvmBackend(Compiler):
    """Apache TVM's compiler for CPUs, and its runtime."""

    name: ClassVar[str] = "tvm"
    title: ClassVar[str] = "Apache TVM"
    packages: ClassVar[tuple[str, ...]] = ("apache-tvm",)
    tools: ClassVar[tuple[str, ...]] = ("apache-tvm-ffi", "onnx", "numpy")
    install: ClassVar[str] = "pip install 'paretune[tvm]'"
    on_device: ClassVar[tuple[str, ...]] = ("apache-tvm", "apache-tvm-ffi")
    device_files: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "apache-tvm": ("tvm/__init__.py", f"tvm/lib/{LIBRARY}")
    }
    artifact_name: ClassVar[str] = "model.so"
    tunable: ClassVar[bool] = True

    def availability(self) -> Availability:
        missing = [name for name in ("tvm", "tvm_ffi") if find_spec(name) is None]
        if missing or runtime_library() is None:
            reason = f"no module {missing[0]}" if missing else "tvm: its runtime library is missing"
            return Availability(installed=False, reason=reason, install=self.install)
        return Availability(installed=True, version=versions(self.packages).get("apache-tvm", "unknown"))

    def refusal(self, precision: Precision) -> str:
        if precision in _OFFERED:
            return ""
        why = f": {_FLOAT}" if precision.decoded.integer else ""
        return f"Apache TVM does not offer {precision}{why}"

    def target(self, profile: Profile) -> str:
        processor = of_profile(profile)
        return processor.text if processor else ""

    def runs_here(self, target: str) -> bool:
        return not this_one().lacks(of_target(target))

    def convert(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None
    ) -> Converted:
        """A shared library with its manifest.

        Raises:
            UnsupportedError: TVM does not take the model, the processor does not compute the precision, or no
                linker is installed for it.
            StageError: built for this machine, the model computes something else.
        """
        from .compiling import compiled

        if settings.keep_float:
            raise UnsupportedError("tvm keeps no single layers in float: it has no integer precision")
        processor = of_target(settings.target)
        self._check_processor(settings, processor)
        notes: tuple[str, ...] = ()
        if settings.check and not self.runs_here(settings.target):
            notes = self._checked_here(model, settings, calibration)
        made = compiled(compiler(), model, settings, processor)
        return Converted(
            content=made.content,
            weight_bytes=made.weight_bytes,
            covered=made.weight_bytes,
            zero_share=made.zero_share,
            notes=(*made.notes, *notes),
        )

    def _check_processor(self, settings: CompileSettings, processor: Processor) -> None:
        if settings.precision is Precision.FP16 and not {*processor.instruction_sets} & {*HALF}:
            raise UnsupportedError(
                f"Apache TVM at fp16 needs a processor that computes in 16 bits ({' or '.join(HALF)}): "
                "without, it converts around every operation, at a third of the fp32 speed"
            )

    def _checked_here(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None
    ) -> tuple[str, ...]:
        """Compare what can be run here: the same passes, with code for this machine."""
        from .compiling import compiled

        if find_spec(RUNTIME) is None:
            return (f"not compared with the float model: {RUNTIME} is not installed",)
        made = compiled(compiler(), replace(model, tuned=None), settings, this_one())
        with tempfile.TemporaryDirectory(prefix="paretune-tvm-") as folder:
            path = Path(folder) / self.artifact_name
            path.write_bytes(made.content)
            with self._float(model, settings) as wanted, self.open(path, settings.batch, 1) as got:
                agreement = check_agreement(wanted, got, settings.batch, calibration)
        return (*agreement, "compared with the float model as built for this machine, untuned")

    def reference(self, model: SourceModel, settings: CompileSettings) -> Session | None:
        """The source under ONNX Runtime, where that is installed and this machine runs the library."""
        return self.float_session(model, settings) if self.runs_here(settings.target) else None

    def float_session(self, model: SourceModel, settings: CompileSettings) -> Session | None:
        return self._float(model, settings) if find_spec(RUNTIME) is not None else None

    def _float(self, model: SourceModel, settings: CompileSettings) -> Session:
        from ..onnx_graph.inspect import with_batch

        return OrtSession(with_batch(model.path, settings.batch).SerializeToString(), 1)

    def tune(
        self, model: SourceModel, settings: CompileSettings, tuning: Tuning, known: Sequence[Path], into: Path
    ) -> dict[str, Any]:
        """Search schedules on this machine, which must run what is compiled for the target.

        Raises:
            UnsupportedError: the target is another processor, or TVM does not take the model.
            StageError: a package is missing, or every schedule failed.
        """
        from .compiling import tuned

        processor = of_target(settings.target)
        if not self.runs_here(settings.target):
            raise UnsupportedError(
                f"Apache TVM is tuned by measuring, and {this_one().model} does not run code for "
                f"{processor.model}: install all of apache-tvm on the device, and name it in the profile"
            )
        self._check_processor(settings, processor)
        return tuned(compiler(), model, settings, tuning, known, into)

    def options(self, profile: Profile, precision: Precision, threads: int) -> tuple[RuntimeOption, ...]:
        return (SPINNING,) if threads > 1 else ()

    def open(self, artifact: Path, batch: int, threads: int, options: Options = USUAL) -> Session:
        return of_batch(TvmSession(artifact, threads, options), batch)


def compiler() -> Any:
    """The package `tvm` with its compiler.

    Raises:
        StageError: it cannot be imported, or has its runtime alone.
    """
    load_runtime()
    try:
        import tvm
    except Exception as error:  # a broken installation raises anything
        raise StageError("compile", f"Apache TVM cannot be imported: {error}") from error
    if tvm.base._RUNTIME_ONLY:
        raise StageError("compile", "the Apache TVM that is installed here has its runtime alone")
    return tvm
