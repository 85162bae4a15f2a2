"""OpenVINO on the CPU.

The artifact is an ONNX file with its batch fixed, which OpenVINO reads without a step between. Compiling
needs onnx and onnxruntime, running numpy and openvino alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ...profiles.errors import UnsupportedError
from ...profiles.precision import Precision
from ..contract.agreement import made_up
from ..contract.backend import (
    CALIBRATION_METHODS,
    Availability,
    CalibrationData,
    CompileSettings,
    Feed,
    LayerGroup,
    Maker,
    Session,
    SourceModel,
    batches,
)
from ..contract.compiling import Compiler, Converted, of_batch
from ..contract.options import USUAL, Options, RuntimeOption
from ..onnx_graph.session import OrtSession
from ..onnx_quantize import MAKER, SHARED
from .options import offered
from .placement import proof
from .session import OpenVinoSession, load_runtime

if TYPE_CHECKING:
    from ...profiles.devices.schema import Profile

_FLOAT, _FEEDS = "float", 4
_STORED = "weights of matrix products, convolutions, embeddings and recurrent layers are stored in {} bits"


class OpenVinoBackend(Compiler):
    """OpenVINO's CPU plug-in."""

    name: ClassVar[str] = "openvino"
    title: ClassVar[str] = "OpenVINO"
    packages: ClassVar[tuple[str, ...]] = ("openvino",)
    tools: ClassVar[tuple[str, ...]] = (*MAKER.tools, "numpy")
    shaped_by: ClassVar[tuple[str, ...]] = MAKER.tools
    install: ClassVar[str] = "pip install 'paretune[openvino]'"
    on_device: ClassVar[tuple[str, ...]] = packages
    calibration_methods: ClassVar[tuple[str, ...]] = CALIBRATION_METHODS
    as_given: ClassVar[bool] = True
    artifact_name: ClassVar[str] = "model.onnx"
    reach: ClassVar[Mapping[Precision, str]] = {
        Precision.FP16: "operators that the fp16 converter does not know stay in fp32",
        Precision.BF16: _STORED.format(16),
        Precision.INT8: "OpenVINO has int8 kernels for matrix products, convolutions and embeddings with "
        "constant weights only",
        Precision.INT8_DYNAMIC: "OpenVINO quantizes activations as it runs for matrix products with constant "
        "weights only",
        Precision.INT8_WEIGHT: _STORED.format(8),
        Precision.INT4_WEIGHT: "OpenVINO has 4-bit weights for matrix products and embeddings with constant "
        "weights only",
    }

    def availability(self) -> Availability:
        try:
            runtime = load_runtime()
        except Exception as error:  # a broken installation raises anything
            return Availability(installed=False, reason=f"openvino: {error}", install=self.install)
        # "2026.4.1-22982-ebd0ed4b09b-releases/2026/4": which build it is stands in the first part.
        return Availability(installed=True, version=str(runtime.__version__).partition("-")[0])

    def refusal(self, precision: Precision) -> str:
        known = precision in (Precision.FP32, Precision.GIVEN) or precision in self.reach
        return "" if known else f"OpenVINO has no {precision} kernels on the CPU"

    def maker(self, precision: Precision) -> Maker | None:
        return MAKER if precision in SHARED else None

    def convert(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None
    ) -> Converted:
        from ..onnx_quantize.convert import converted
        from .changes import OWN

        return converted(model, settings, calibration, OWN)

    def proof(
        self, path: Path, made: Converted, settings: CompileSettings, calibration: CalibrationData | None
    ) -> tuple[str, ...]:
        if settings.precision in (Precision.FP32, Precision.FP16):
            return ()
        session = OpenVinoSession(path, 1, told=True)
        with session:
            if settings.precision is Precision.INT8_DYNAMIC:
                _check_dynamic(path, session, settings.batch, calibration)
            return proof(settings.precision, session.ran(), session.meant())

    def reference(self, model: SourceModel, settings: CompileSettings) -> Session:
        from ..onnx_graph.inspect import with_batch

        return OrtSession(with_batch(model.path, settings.batch).SerializeToString(), 1)

    def layers(self, model: SourceModel, precision: Precision) -> tuple[LayerGroup, ...]:
        from ..onnx_quantize.convert import groups
        from .changes import PRODUCTS

        return groups(model, precision, PRODUCTS if precision is Precision.INT8_DYNAMIC else ())

    def options(self, profile: Profile, precision: Precision, threads: int) -> tuple[RuntimeOption, ...]:
        return offered(precision, threads)

    def open(self, artifact: Path, batch: int, threads: int, options: Options = USUAL) -> Session:
        return of_batch(OpenVinoSession(artifact, threads, options=options), batch)


def _check_dynamic(path: Path, session: OpenVinoSession, batch: int, samples: CalibrationData | None) -> None:
    """Refuse a file whose activations stay in float: kernels do not tell, outputs do, where they depend on
    what is fed at all (those of untrained weights need not).

    Raises:
        UnsupportedError: it computes what it computes in float, to the last bit.
    """
    feeds = [made_up(session)] if samples is None else [*islice(batches(samples, batch), _FEEDS)]
    with OpenVinoSession(path, 1, how=_FLOAT) as plain:
        in_float = [plain.run(feed) for feed in feeds]
    found = [session.run(feed) for feed in feeds]
    if _same(found, in_float) and not _same(in_float[1:], in_float[:-1]):
        raise UnsupportedError("OpenVINO quantizes no activations of this model as it runs: use int8-weight")


def _same(some: Sequence[Feed], others: Sequence[Feed]) -> bool:
    pairs = zip(some, others, strict=True)
    return all(np.array_equal(one[name], other[name]) for one, other in pairs for name in one)
