"""Models of a workload's own networks, wherever their trained weights come from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import nn

from ....backends.contract.backend import Backend
from ....profiles.packages import versions
from ...record.candidate import Candidate, Recipe
from ...record.evaluation import Quantity
from ...record.progress import Progress
from ...record.protocols import MilestoneJudge, Training
from ...record.treatment import QatPlan
from ...record.untrained import Untrained
from ...space.possible import PossibleSpace, needs_trying
from ...space.space import Space
from ...store.store import Entry, Store
from ...workload.loader import LoadedWorkload
from ...workload.outputs import OutputChoice
from ...workload.task import UNKNOWN, Task
from ..device.keys import export_key
from ..network.predict import OUTPUT
from ..network.programs import Program
from ..training.fake_quantize import qat_bits
from ..training.loop import never_stops
from .base import Models, Note, exact
from .export import export
from .kept_traces import KeptTraces
from .lessons import Lessons
from .model_checks import check_same_outputs, check_trainable
from .needed_trainings import Trainings
from .networks import Student, student_title
from .possible import possible_space
from .structures import Structures
from .teacher import Teacher

SAMPLE_ROWS = 8


class Weights(Protocol):
    """Trained weights of candidates."""

    def trained(
        self,
        candidate: Candidate,
        note: Note = ...,
        judge: MilestoneJudge = ...,
        qat: QatPlan | None = None,
    ) -> Entry:
        """The candidate's trained weights, as `Trainer.trained` has them; read them with `load`."""

    def load(self, entry: Entry, candidate: Candidate) -> nn.Module:
        """The model of a trained candidate, in evaluation mode."""


class NetworkModels(Models):
    """Models of a workload's own networks. `teacher` and `lessons` teach, `needed` names what there is to
    train, and `weights` has what was trained."""

    weights: Weights

    def __init__(
        self,
        loaded: LoadedWorkload,
        store: Store,
        progress: Progress,
        teacher: Teacher,
        fallback: Recipe | None,
    ) -> None:
        super().__init__(loaded, store, progress)
        self.networks, self.teacher, self.lessons = teacher.networks, teacher, Lessons(teacher)
        self.needed = Trainings(self.lessons, store, fallback)
        self._traces = KeptTraces()
        self.structures = Structures(self.networks)

    @property
    def outputs(self) -> OutputChoice:
        return self.networks.outputs

    @property
    def task(self) -> Task:
        return self.teacher.purpose.task

    def expected_task(self) -> Task:
        return self.teacher.purpose.first

    def possible(self, space: Space, batch: int = 1) -> PossibleSpace:
        derived = self.networks.is_derived(space.students()[-1])
        asked = needs_trying(space, derived=derived)
        return possible_space(space, self.networks) if asked else PossibleSpace(space=space)

    def prepare_students(self, students: Iterable[Student], recipe: Recipe | None = None) -> None:
        """What `prepare` does for these students; without a recipe, no steps are taken."""
        networks, purpose = self.networks, self.teacher.purpose
        outputs = networks.checked(networks.build(()), "teacher")
        primary = networks.outputs.primary
        if recipe is not None:
            purpose.check()  # what cannot be trained is refused before the teacher is
        models = networks.built(students)
        for student, model in models.items():
            name = f"student {student_title(student)}"
            found = networks.checked(model, name)
            if recipe is not None:
                check_trainable(model, name)
            check_same_outputs(name, found, outputs, primary, purpose.first if recipe else None)
        teacher = self.teacher.entry().meta
        networks.sizes[(), "dense"] = {name: teacher[name] for name in ("parameters", "macs")}
        for student, model in models.items():
            networks.sizes[tuple(sorted(student)), "dense"] = self.structures.sized(student, model)
            if recipe is not None:
                self.try_steps(model, student, recipe)

    def try_steps(self, model: nn.Module, student: Student, recipe: Recipe) -> None:
        """Train in place for a few steps, where this kind of models is trained at all.

        Raises:
            UserError: they fail, or the loss is not finite.
        """

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        return self.needed.of(candidate)

    def untrained(self, candidate: Candidate) -> Untrained:
        return self.structures.known(candidate)

    def looked_at(self, candidate: Candidate, note: Note) -> Untrained:
        return self.structures.looked_at(candidate)

    def exported(
        self,
        candidate: Candidate,
        backend: Backend,
        batch: int,
        *,
        trained: bool,
        note: Note,
        judge: MilestoneJudge | None = None,
        qat: QatPlan | None = None,
    ) -> Entry:
        entry = self._trained(candidate, note, judge, qat) if trained else None
        model_key = entry.key if entry else self.networks.untrained_key(candidate)
        found = versions(backend.exporters)
        tools = {package: found.get(package, "") for package in backend.exporters}
        names = self.outputs.names if self.outputs.names != (OUTPUT,) else ()
        key = export_key(model_key, backend.source_format, batch * backend.fixed_batch, tools, names)

        def make(into: Path) -> Mapping[str, Any]:
            self.progress.stage("export")
            model = self.weights.load(entry, candidate) if entry else self.networks.untrained(candidate)
            sample = self.loaded.splits.train.head(max(batch, SAMPLE_ROWS)).inputs
            wanted = self.loaded.workload.outputs
            grid, traces = qat is not None, self._traces
            source = export(model, sample, backend, batch, into, wanted, on_grid=grid, traces=traces)
            return {"file": source.path.name, "format": source.format}

        provenance = {"candidate": candidate.title, "model": model_key}
        made = self.store.produce("export", key, provenance, make)
        note(made)
        return made

    def _trained(
        self, candidate: Candidate, note: Note, judge: MilestoneJudge | None, plan: QatPlan | None
    ) -> Entry:
        entry = self.weights.trained(candidate, note, judge or never_stops)
        return entry if plan is None else self.weights.trained(candidate, note, qat=plan)

    def float_quality(self, candidate: Candidate) -> float | None:
        if candidate.is_teacher:
            return float(self.teacher.entry().meta["quality"]["validation"])
        return self.trainings(candidate)[-1].quality

    def qat_plan(self, candidate: Candidate, epochs: int) -> QatPlan | None:
        """Fake quantization knows steps per channel alone, and needs modules."""
        unknown = self.task.name == UNKNOWN and not callable(self.loaded.workload.loss)
        program = candidate.is_teacher and isinstance(self.networks.build(()), Program)
        able = candidate.per_channel and not unknown and not program
        bits = qat_bits(candidate.precision) if able else None
        return QatPlan(weight_bits=bits[0], activation_bits=bits[1], epochs=epochs) if bits else None

    def simulated(self, candidate: Candidate, plan: QatPlan) -> float:
        entry = self.weights.trained(candidate, qat=plan)
        return float(entry.meta["quality"]["validation"])

    def size(self, candidate: Candidate) -> dict[str, Quantity]:
        counted = self.networks.size(candidate)
        return {name: exact(value, "counted") for name, value in counted.items()}

    def teacher_facts(self) -> dict[str, Any]:
        return {**self.teacher.entry().meta, **self.purpose_facts()}

    def remarks(self) -> tuple[str, ...]:
        return self.teacher.remarks()
