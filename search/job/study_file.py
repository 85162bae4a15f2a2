"""The study file: one YAML that says what is to be optimized, for which device, within which limits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from ...backends.contract.backend import CalibrationMethod
from ...profiles.errors import UserError
from ...profiles.precision import Precision
from ...profiles.text.named import BackendText, FileText, Identifier, Line, PlainName, WorkloadText
from ...profiles.text.strict_yaml import read_with_places
from ...profiles.text.yaml_document import Document
from ...profiles.words import listed
from ..record.candidate import Recipe, Sparsity
from ..record.limits import MOST_WEIGHT
from ..record.treatment import RungName
from .deploy_section import DeploySection
from .section import Section
from .sustained_section import SustainedSection, sustained_section
from .values import (
    Axis,
    Bytes,
    Count,
    CountOrNone,
    Flag,
    Guarded,
    Load,
    Many,
    Number,
    Patience,
    Seconds,
    Several,
    Share,
    Threads,
    one_or_many,
    said,
)
from .workers_section import WorkersSection, workers_section


def _without(section: object, name: str, usual: object) -> object:
    """A section without a setting that files of earlier versions have, and that has one value left."""
    if not isinstance(section, dict) or name not in section:
        return section
    if one_or_many(section[name]) not in (None, (usual,)):
        raise ValueError(
            f"{name} is not searched any more, all is made with {usual}: leave it out (what an earlier "
            "version found opens by its run directory)"
        )
    return {key: value for key, value in section.items() if key != name}


class WorkloadSection(Section):
    """Where the workload is: a Python file beside the study, and options handed to it."""

    file: WorkloadText
    options: dict[Identifier, Any] = {}


class CalibrationSection(Section):
    """Settings of calibrated precisions that are searched."""

    method: Several[CalibrationMethod] = ("minmax",)
    samples: Several[Count] = (128,)
    per_channel: Several[Flag] = (True,)


class DistillSection(Section):
    """Training recipes that are searched: temperature and weight of the teacher's soft targets. Unless the
    file says otherwise, every student may also be trained on the labels alone."""

    temperature: Several[Annotated[Number, Field(gt=0, le=1000)]] = (4.0,)
    weight: Several[Annotated[Number, Field(ge=0, le=1)]] = (Recipe.distill_weight, 0.0)

    @model_validator(mode="before")
    @classmethod
    def _hidden_states_are_not_compared(cls, values: object) -> object:
        return _without(values, "hidden", 0)


def _notation(texts: tuple[str, ...]) -> tuple[str, ...]:
    values = tuple(str(said(Sparsity.parse, text)) for text in texts)
    if len(set(values)) != len(values):
        raise ValueError("names a value twice")
    return values


class SpaceSection(Section):
    """What is searched. Left out means: all that the device and the installed runtimes can do."""

    student: dict[Identifier, Several[Axis]] = {}
    sparsity: Annotated[Several[Line], AfterValidator(_notation)] = ("dense",)
    precision: Several[Precision] | None = None
    backend: Several[BackendText] | None = None
    calibration: CalibrationSection = CalibrationSection()
    distill: DistillSection = DistillSection()

    @model_validator(mode="before")
    @classmethod
    def _one_order_is_left(cls, values: object) -> object:
        return _without(values, "order", Recipe.order)


class TrainingSection(Section):
    """How students are trained and pruned ones fine-tuned. `patience`: a training ends after so many epochs
    without a better quality on validation, and keeps its best weights (left out: it runs to its end)."""

    epochs: Count = 20
    finetune_epochs: CountOrNone = 8
    learning_rate: Annotated[Number, Field(gt=0, le=100)] = 2e-3
    batch: Count = 64
    patience: Count | None = None
    threads: Threads | None = None


class BudgetSection(Section):
    """When to stop: evaluated candidates, wall time, or both (whichever comes first)."""

    trials: Count | None = None
    time: Seconds | None = None

    @model_validator(mode="after")
    def _some(self) -> BudgetSection:
        if self.trials is None and self.time is None:
            raise ValueError("give a number of trials, a time (say 30 min), or both")
        return self


class MeasureSection(Section):
    """The latency protocol's effort: rounds of randomly interleaved blocks, and processes of the reference
    and of each finalist, which tell what processes of one model differ by (from three on). `load`: how long
    each finalist is put under load (left out: 30 s where throughput is a limit or an objective)."""

    rounds: Annotated[Count, Field(ge=9)] = 25
    finalist_rounds: Annotated[Count, Field(ge=9)] = 40
    processes: Annotated[Count, Field(le=64)] = 5
    load: Load | None = None


class GuardSection(Section):
    """Hard limits on one runner process; beyond them the evaluation ends as `failed`. `open` also bounds the
    start of a runner on the device, and the sending of a file. `user`: how long one call of the workload's
    own code may take (left out: as long as it likes, since training a teacher takes hours). `patience`: how
    long a device that does not answer any more is waited for, before the study ends (0: not at all)."""

    open: Guarded = 120.0
    compile: Guarded = 300.0
    run: Guarded = 300.0
    memory: Bytes | None = None
    patience: Patience = 600.0
    user: Guarded | None = None


class TuningSection(Section):
    """What a backend that has to be tuned may try for one candidate: so many schedules, for so long."""

    trials: Count = 256
    time: Guarded = 600.0


class StopSection(Section):
    """When a search has nothing more to gain: a training's time is expected to raise the hypervolume by less
    than `gain`, `proposals` times in a row."""

    gain: Annotated[Share, Field(gt=0, lt=1)] = 1e-3
    proposals: Count = 6


class GateSection(Section):
    """What the gate grants a compressed model: `margin` is how much better than its less compressed relatives
    it may be (1 pt for an accuracy; 1 % of the teacher's value for another metric).

    `during_training` gives up trainings whose best possible end is behind the front.
    """

    margin: Annotated[Share, Field(ge=0)] | None = None
    during_training: Flag = True


class LadderSection(Section):
    """What is tried where quantization loses too much. `allowed_loss` counts where no limit on the quality
    says what is too much (half a point of a share; 0.5 % of another metric). A candidate's climb ends after
    `time`, or when no rung left promises `worth` a minute."""

    rungs: Several[RungName] = get_args(RungName)
    allowed_loss: Annotated[Share, Field(gt=0)] | None = None
    time: Seconds = 120.0
    worth: Annotated[Share, Field(ge=0)] | None = None
    qat_epochs: Count = 4
    draws: Annotated[Count, Field(le=20)] = 3


class StudyFile(Section):
    """A validated study file. Paths in it are relative to the file."""

    name: PlainName
    workload: Annotated[WorkloadSection, BeforeValidator(lambda v: {"file": v} if isinstance(v, str) else v)]
    profile: FileText = "host"
    space: SpaceSection = SpaceSection()
    training: TrainingSection = TrainingSection()
    objectives: Annotated[Several[Line], Field(min_length=2, max_length=4)] | None = None
    constraints: Many[Line] = ()
    prefer: dict[Line, Annotated[Number, Field(ge=0, le=MOST_WEIGHT)]] = {}
    budget: BudgetSection
    sampler: Literal["hardware-first", "tpe", "nsga2", "gp", "random"] = "hardware-first"
    stop: StopSection | Literal["never"] = StopSection()
    gate: GateSection = GateSection()
    ladder: LadderSection | Literal["never"] = LadderSection()
    reference: dict[Line, Line | Number] = {}
    warm_start: Flag | Many[FileText] = True
    deploy: DeploySection = DeploySection()
    sustained: Annotated[SustainedSection | None, BeforeValidator(sustained_section)] = None
    measure: MeasureSection = MeasureSection()
    guard: GuardSection = GuardSection()
    tuning: TuningSection | None = None
    finalists: Annotated[Count, Field(le=12)] = 6
    storage: Line | None = None
    store: FileText | None = None
    runs: FileText = "runs"
    workers: Annotated[WorkersSection | None, BeforeValidator(workers_section)] = None
    seed: Annotated[int, Field(strict=True, ge=0, lt=2**31)] = 0


_FREE = (("workload", "options"), ("space", "student"))
"""What is handed to the workload as it is written."""


@dataclass(frozen=True, kw_only=True)
class StudyText:
    """A study file as it was read, once: its text, what it says, and where."""

    file: StudyFile
    document: Document

    @contextmanager
    def places_told(self) -> Iterator[None]:
        """What is refused later for something in the file is told with its line and column too."""
        try:
            yield
        except UserError as error:
            place = self.document.place_of(error.place) or self.document.name
            if place == error.place:
                raise
            raise error.placed(place) from error.__cause__


def load_study_file(path: Path) -> StudyFile:
    """What a study file says.

    Raises:
        UserError: as `read_study`.
    """
    return read_study(path).file


def read_study(path: Path) -> StudyText:
    """Read and validate a study file.

    Raises:
        UserError: the file is missing, is not YAML, or holds something that cannot be accepted; every
            problem is named with its place.
    """
    if _missing(path):
        raise UserError(
            "no such study file",
            place=str(path),
            accepted=listed(sorted(p.name for p in path.parent.glob("*.y*ml"))) or "a YAML file",
            remedy="`paretune init` writes one to start from",
        )
    file, document = read_with_places(StudyFile, path, "study file", _FREE)
    return StudyText(file=file, document=document)


def _missing(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except (OSError, ValueError):  # the reader says what is wrong
        return False
    return False
