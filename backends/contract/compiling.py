"""What every runtime's `compile` does around its own conversion: refuse, convert, weigh, compare, write."""

from __future__ import annotations

import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from ...profiles.errors import StageError, UnsupportedError
from ...profiles.packages import versions
from ...profiles.precision import Precision
from ...profiles.words import listed
from .agreement import AgainstFloat, check_coverage, compared
from .backend import Artifact, Backend, CalibrationData, CompileSettings, Session, SourceModel
from .options import RuntimeOption, chosen

# A model with more zeros than this was made sparse, and may lose no more than the tolerance of them.
SPARSE_SHARE = 0.05
LOST_SHARE = 0.01
_MADE = "made.npz"


@dataclass(frozen=True, kw_only=True)
class Converted:
    """The content of an artifact, and what was read back from it.

    `weight_bytes`, `stored_as` and `zero_share` are those of `Artifact`, `sizes` is the number of weights of
    each layer. `covered` are the bytes by storage type that must mostly be at the precision (None: unknown),
    `kept_weights` the number of weights that were kept in float on purpose, and `read_by` is the
    number of weights by the operator that reads them and their storage type. `zeros` maps what was looked at
    (a layer, or the model) to its share of zeros in the source and in the artifact.
    """

    content: bytes
    weight_bytes: Mapping[str, int]
    covered: Mapping[str, int] | None
    kept_weights: int = 0
    read_by: Mapping[tuple[str, str], int] = field(default_factory=dict)
    sizes: Mapping[str, int] = field(default_factory=dict)
    stored_as: Mapping[str, str] = field(default_factory=dict)
    zeros: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    zero_share: float | None = None
    notes: tuple[str, ...] = ()

    def save(self, path: Path) -> None:
        """Write all of it into one file, for `load`."""
        said: dict[str, Any] = {name: value for name, value in asdict(self).items() if name != "content"}
        said["read_by"] = [[*key, count] for key, count in self.read_by.items()]  # JSON has no other keys
        packed = (self.content, json.dumps(said).encode())
        content, described = (np.frombuffer(part, np.uint8) for part in packed)
        with path.open("wb") as file:
            np.savez(file, content=content, described=described)

    @classmethod
    def load(cls, path: Path) -> Converted:
        """What `save` wrote."""
        with np.load(path) as arrays:
            content, described = arrays["content"].tobytes(), arrays["described"].tobytes()
        said: dict[str, Any] = json.loads(described)
        said["zeros"] = {what: (had, has) for what, (had, has) in said["zeros"].items()}
        said["read_by"] = {(operator, kind): count for operator, kind, count in said["read_by"]}
        return cls(**{**said, "notes": tuple(said["notes"])}, content=content)


class Compiler(Backend):
    """A backend that fills in `convert` and gets the rest of `compile`.

    `artifact_name` is the file that is written. `tools` are the distributions beside `packages` that shape
    its bytes. `reach` says of a precision which operators the runtime has at it, for models of which it
    reaches little. `compile_options` are all that `convert` can be told: others are refused.
    """

    artifact_name: ClassVar[str]
    tools: ClassVar[tuple[str, ...]] = ("numpy",)
    reach: ClassVar[Mapping[Precision, str]] = {}
    compile_options: ClassVar[tuple[RuntimeOption, ...]] = ()

    @abstractmethod
    def convert(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None
    ) -> Converted:
        """The model as the settings ask for it. `refusal`, calibration data and its method were checked."""

    def reference(self, model: SourceModel, settings: CompileSettings) -> Session | None:
        """The float model in a session whose outputs the artifact must agree with; None where that cannot be
        asked here."""
        return None

    def float_session(self, model: SourceModel, settings: CompileSettings) -> Session | None:
        """As `reference`, which may ask for more: say that the artifact runs here."""
        return self.reference(model, settings)

    def proof(
        self, path: Path, made: Converted, settings: CompileSettings, calibration: CalibrationData | None
    ) -> tuple[str, ...]:
        """What the runtime says of the written file, as notes: which layers it really computes low.

        Raises:
            UnsupportedError: it computes most of what is stored low in float all the same.
        """
        return ()

    def refusal(self, precision: Precision) -> str:
        """Why the installed runtime cannot compile the precision; empty where it can."""
        return ""

    def versions(self) -> dict[str, str]:
        """Versions of the packages that shape an artifact's bytes."""
        runtime = versions(self.packages) or dict.fromkeys(self.packages[:1], self.availability().version)
        return {**runtime, **versions(self.tools)}

    def compile(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None, into: Path
    ) -> Artifact:
        """Write `artifact_name` into `into`. See the contract.

        Raises:
            StageError: the artifact lost the zeros of a sparse model, or disagrees with the float model.
        """
        self._check(settings, calibration)
        path = artifact_path(model, into, self.artifact_name)
        made = Converted.load(model.made) if model.made else self.convert(model, settings, calibration)
        if made.covered is not None:
            check_coverage(
                settings.precision,
                made.covered,
                self.reach.get(settings.precision, ""),
                kept_weights=made.kept_weights,
                read_by=made.read_by,
            )
        check_zeros(made.zeros)
        path.write_bytes(made.content)
        coverage = coverage_note(made.stored_as, made.sizes)
        proof = self.proof(path, made, settings, calibration)
        agreement = self._agreement(path, model, settings, calibration) if settings.check else AgainstFloat()
        return Artifact(
            path=path,
            backend=self.name,
            precision=settings.precision,
            size_bytes=path.stat().st_size,
            weight_bytes=dict(made.weight_bytes),
            notes=tuple(filter(None, (*made.notes, *agreement.notes, coverage, *proof))),
            versions=self.versions(),
            stored_as=dict(made.stored_as),
            zero_share=made.zero_share,
            errors=agreement.errors,
        )

    def make(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None, into: Path
    ) -> Path:
        """What `convert` gives, as a file. See the contract."""
        self._check(settings, calibration)
        path = artifact_path(model, into, _MADE)
        self.convert(model, settings, calibration).save(path)
        return path

    def _check(self, settings: CompileSettings, calibration: CalibrationData | None) -> None:
        if refusal := self.refusal(settings.precision):
            raise UnsupportedError(refusal)
        chosen(settings.options, *self.compile_options)
        if settings.precision is Precision.GIVEN and not self.as_given:
            raise UnsupportedError(
                f"{self.title or self.name} does not run files that were handed in quantized"
            )
        if not settings.precision.decoded.calibrated:
            return
        if not calibration:
            raise ValueError(f"{settings.precision} needs calibration data")
        if settings.calibration_method not in self.calibration_methods:
            raise UnsupportedError(
                f"unknown calibration method {settings.calibration_method!r}, "
                f"{self.title or self.name} has {', '.join(self.calibration_methods)}"
            )

    def _agreement(
        self, path: Path, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None
    ) -> AgainstFloat:
        wanted = self.reference(model, settings)
        if wanted is None:
            return AgainstFloat()
        with wanted, self.open(path, settings.batch, 1) as got:
            return compared(wanted, got, settings.batch, calibration)


def of_batch(session: Session, batch: int) -> Session:
    """The session, if its artifact was made for this batch; closed and refused with ValueError if not."""
    held = session.inputs[0].shape[0]
    if held != batch:
        session.close()
        raise ValueError(f"the model was compiled or exported for batch {held}, asked for {batch}")
    return session


def check_zeros(zeros: Mapping[str, tuple[float, float]]) -> None:
    """Refuse an artifact that lost the zeros of a sparse model. `zeros` is that of `Converted`.

    Raises:
        StageError: a share of zeros above 5 % is lower in the artifact by more than 1 point.
    """
    for what, (had, has) in zeros.items():
        if had > SPARSE_SHARE and has < had - LOST_SHARE:
            raise StageError(
                "compile",
                f"the artifact lost zeros: {100 * had:.1f} % of the weights of {what} were zero, "
                f"{100 * has:.1f} % are in the artifact",
            )


def coverage_note(stored_as: Mapping[str, str], sizes: Mapping[str, int]) -> str:
    """In words: "int8: 6 of 7 layers, 99.2 % of the weights; float32: classifier".

    Empty where every layer is float32, or there is none.
    """
    by_kind: dict[str, list[str]] = {}
    for name, kind in stored_as.items():
        by_kind.setdefault(kind, []).append(name)
    weights = {kind: sum(sizes[name] for name in names) for kind, names in by_kind.items()}
    main = max((kind for kind in weights if kind != "float32"), key=weights.__getitem__, default="")
    if not main:
        return ""
    share = 100 * weights[main] / sum(weights.values())
    head = f"{main}: {len(by_kind[main])} of {len(stored_as)} layers, {share:.1f} % of the weights"
    rest = (f"{kind}: {listed(names)}" for kind, names in sorted(by_kind.items()) if kind != main)
    return "; ".join([head, *rest])


def artifact_path(source: SourceModel, into: Path, name: str) -> Path:
    """Where `compile` writes its file.

    Raises:
        ValueError: that is the source model itself.
    """
    path = into / name
    if path.resolve() == source.path.resolve():
        raise ValueError(f"compiling into {into} would overwrite the source model {source.path.name}")
    return path
