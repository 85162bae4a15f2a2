"""The study file: one YAML that says what is to be optimized, for which device, within which limits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from ...backends.contract.backend import CalibrationMethod
from ...profiles.errors import UserError
from ...profiles.precision import Precision
from ...profiles.strict_yaml import read_model
from ...profiles.units import parse_bytes, parse_duration_s, parse_quantity
from ..record.candidate import Recipe, Scalar, Sparsity
from ..record.treatment import RungName

T = TypeVar("T")


def _said(parse: Callable[[str], T], text: str) -> T:
    # pydantic collects ValueErrors alone, so that all problems of a file are named at once.
    try:
        return parse(text)
    except UserError as error:
        accepted = f"; accepted: {error.accepted}" if error.accepted else ""
        raise ValueError(f"{error.problem}{accepted}") from None


def _duration(value: object) -> object:
    return _said(parse_duration_s, value) if isinstance(value, str) else value


def _size(value: object) -> object:
    return _said(parse_bytes, value) if isinstance(value, str) else value


def _one_or_many(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value if value is None else (value,)


def _without(section: object, name: str, usual: object) -> object:
    """A section without a setting that files of earlier versions have, and that has one value left."""
    if not isinstance(section, dict) or name not in section:
        return section
    if _one_or_many(section[name]) not in (None, (usual,)):
        raise ValueError(
            f"{name} is not searched any more, all is made with {usual}: leave it out (what an earlier "
            "version found opens by its run directory)"
        )
    return {key: value for key, value in section.items() if key != name}


Seconds = Annotated[float, BeforeValidator(_duration), Field(gt=0)]
Bytes = Annotated[int, BeforeValidator(_size), Field(gt=0)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _nothing_after_the_colon(cls, values: object) -> object:
        # What is left of a list whose lines were all commented out means: left out.
        return {k: v for k, v in values.items() if v is not None} if isinstance(values, dict) else values


class WorkloadSection(_Section):
    """Where the workload is: a Python file beside the study, and options handed to it."""

    file: str
    options: dict[str, Any] = {}


class CalibrationSection(_Section):
    """Settings of calibrated precisions that are searched."""

    method: Annotated[tuple[CalibrationMethod, ...], BeforeValidator(_one_or_many)] = ("minmax",)
    samples: Annotated[tuple[int, ...], BeforeValidator(_one_or_many)] = (128,)
    per_channel: Annotated[tuple[bool, ...], BeforeValidator(_one_or_many)] = (True,)

    @field_validator("samples")
    @classmethod
    def _positive(cls, samples: tuple[int, ...]) -> tuple[int, ...]:
        if any(count < 1 for count in samples):
            raise ValueError("calibration needs at least one sample")
        return samples


class DistillSection(_Section):
    """Training recipes that are searched: temperature and weight of the teacher's soft targets. Unless the
    file says otherwise, every student may also be trained on the labels alone."""

    temperature: Annotated[tuple[float, ...], BeforeValidator(_one_or_many)] = (4.0,)
    weight: Annotated[tuple[float, ...], BeforeValidator(_one_or_many)] = (Recipe.distill_weight, 0.0)

    @model_validator(mode="before")
    @classmethod
    def _hidden_states_are_not_compared(cls, values: object) -> object:
        return _without(values, "hidden", 0)

    @model_validator(mode="after")
    def _ranges(self) -> DistillSection:
        if any(t <= 0 for t in self.temperature):
            raise ValueError("a distillation temperature is above 0")
        if any(not 0 <= w <= 1 for w in self.weight):
            raise ValueError("a distillation weight lies between 0 (labels alone) and 1 (teacher alone)")
        return self


class SpaceSection(_Section):
    """What is searched. Left out means: all that the device and the installed runtimes can do."""

    student: dict[str, Annotated[tuple[Scalar, ...], BeforeValidator(_one_or_many)]] = {}
    sparsity: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ("dense",)
    precision: Annotated[tuple[Precision, ...] | None, BeforeValidator(_one_or_many)] = None
    backend: Annotated[tuple[str, ...] | None, BeforeValidator(_one_or_many)] = None
    calibration: CalibrationSection = CalibrationSection()
    distill: DistillSection = DistillSection()

    @model_validator(mode="before")
    @classmethod
    def _one_order_is_left(cls, values: object) -> object:
        return _without(values, "order", Recipe.order)

    @field_validator("sparsity")
    @classmethod
    def _notation(cls, values: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(_said(Sparsity.parse, value)) for value in values)

    @model_validator(mode="after")
    def _not_empty(self) -> SpaceSection:
        lists: dict[str, tuple[Any, ...] | None] = {
            "sparsity": self.sparsity,
            "distill.temperature": self.distill.temperature,
            "distill.weight": self.distill.weight,
            "precision": self.precision,
            "backend": self.backend,
            **{f"student.{axis}": values for axis, values in self.student.items()},
        }
        for name, values in lists.items():
            if values is not None and not values:
                raise ValueError(f"{name} is an empty list: leave it out, or name at least one value")
            if values is not None and len(set(values)) != len(values):
                raise ValueError(f"{name} names a value twice")
        return self


class TrainingSection(_Section):
    """How students are trained and pruned ones fine-tuned. `patience`: a training ends after so many epochs
    without a better quality on validation, and keeps its best weights (left out: it runs to its end)."""

    epochs: Annotated[int, Field(ge=1)] = 20
    finetune_epochs: Annotated[int, Field(ge=0)] = 8
    learning_rate: Annotated[float, Field(gt=0)] = 2e-3
    batch: Annotated[int, Field(ge=1)] = 64
    patience: Annotated[int, Field(ge=1)] | None = None
    threads: Annotated[int, Field(ge=1)] | None = None


class BudgetSection(_Section):
    """When to stop: evaluated candidates, wall time, or both (whichever comes first)."""

    trials: Annotated[int, Field(ge=1)] | None = None
    time: Seconds | None = None

    @model_validator(mode="after")
    def _some(self) -> BudgetSection:
        if self.trials is None and self.time is None:
            raise ValueError("give a number of trials, a time (say 30 min), or both")
        return self


class DeploySection(_Section):
    """How the model runs on the device: batch size and threads. Both enter every measurement."""

    batch: Annotated[int, Field(ge=1)] = 1
    threads: Annotated[int, Field(ge=1)] = 1


class MeasureSection(_Section):
    """The latency protocol's effort: rounds of randomly interleaved blocks, and processes of the reference
    and of each finalist, which tell what processes of one model differ by (from three on)."""

    rounds: Annotated[int, Field(ge=9)] = 25
    finalist_rounds: Annotated[int, Field(ge=9)] = 40
    processes: Annotated[int, Field(ge=1, le=64)] = 5


class GuardSection(_Section):
    """Hard limits on one runner process; beyond them the evaluation ends as `failed`. `open` also bounds the
    start of a runner on the device, and the sending of a file. `user`: how long one call of the workload's
    own code may take (left out: as long as it likes, since training a teacher takes hours)."""

    open: Seconds = 120.0
    compile: Seconds = 300.0
    run: Seconds = 300.0
    memory: Bytes | None = None
    user: Seconds | None = None


def _share(value: object) -> object:
    return _said(lambda text: parse_quantity(text, "share"), value) if isinstance(value, str) else value


Share = Annotated[float, BeforeValidator(_share), Field(gt=0, lt=1)]


class StopSection(_Section):
    """When a search has nothing more to gain: a training's time is expected to raise the hypervolume by less
    than `gain`, `proposals` times in a row."""

    gain: Share = 1e-3
    proposals: Annotated[int, Field(ge=1)] = 6


class GateSection(_Section):
    """What the gate grants a compressed model: `margin` is how much better than its less compressed relatives
    it may be (1 pt for an accuracy; 1 % of the teacher's value for another metric).

    `during_training` gives up trainings whose best possible end is behind the front.
    """

    margin: Annotated[float, BeforeValidator(_share), Field(ge=0)] | None = None
    during_training: bool = True


class LadderSection(_Section):
    """What is tried where quantization loses too much. `allowed_loss` counts where no limit on the quality
    says what is too much (half a point of a share; 0.5 % of another metric). A candidate's climb ends after
    `time`, or when no rung left promises `worth` a minute."""

    rungs: Annotated[tuple[RungName, ...], BeforeValidator(_one_or_many)] = get_args(RungName)
    allowed_loss: Annotated[float, BeforeValidator(_share), Field(gt=0)] | None = None
    time: Seconds = 120.0
    worth: Annotated[float, BeforeValidator(_share), Field(ge=0)] | None = None
    qat_epochs: Annotated[int, Field(ge=1)] = 4
    draws: Annotated[int, Field(ge=1, le=20)] = 3


class StudyFile(_Section):
    """A validated study file. Paths in it are relative to the file."""

    name: Name
    workload: Annotated[WorkloadSection, BeforeValidator(lambda v: {"file": v} if isinstance(v, str) else v)]
    profile: str = "host"
    space: SpaceSection = SpaceSection()
    training: TrainingSection = TrainingSection()
    objectives: (
        Annotated[tuple[str, ...], BeforeValidator(_one_or_many), Field(min_length=2, max_length=4)] | None
    ) = None
    constraints: Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = ()
    prefer: dict[str, Annotated[float, Field(ge=0)]] = {}
    budget: BudgetSection
    sampler: Literal["hardware-first", "tpe", "nsga2", "gp", "random"] = "hardware-first"
    stop: StopSection | Literal["never"] = StopSection()
    gate: GateSection = GateSection()
    ladder: LadderSection | Literal["never"] = LadderSection()
    reference: dict[str, str | float] = {}
    warm_start: bool | Annotated[tuple[str, ...], BeforeValidator(_one_or_many)] = True
    deploy: DeploySection = DeploySection()
    measure: MeasureSection = MeasureSection()
    guard: GuardSection = GuardSection()
    finalists: Annotated[int, Field(ge=1, le=12)] = 6
    storage: str | None = None
    store: str | None = None
    runs: str = "runs"
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0


def load_study_file(path: Path) -> StudyFile:
    """Read and validate a study file.

    Raises:
        UserError: the file is missing, is not YAML, or holds something that cannot be accepted; every
            problem is named with its place.
    """
    if path.is_dir():
        raise UserError("this is a directory, not a study file", place=str(path), accepted="a YAML file")
    if not path.is_file():
        near = sorted(p.name for p in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
        raise UserError(
            "no such study file",
            place=str(path),
            accepted=", ".join(near) or "a YAML file",
            remedy="`paretune init` writes one to start from",
        )
    return read_model(StudyFile, path, "study file")
