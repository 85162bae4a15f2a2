"""Where a candidate's float model comes from: trained in PyTorch, or given as an ONNX file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

from ....backends.contract.backend import Backend
from ....profiles.errors import InternalError
from ...record.candidate import Candidate
from ...record.evaluation import Quantity
from ...record.progress import Progress
from ...record.protocols import MilestoneJudge, Training
from ...record.training import TrainingKey
from ...record.treatment import QatPlan
from ...record.untrained import UNTOLD, Untrained
from ...space.possible import PossibleSpace
from ...space.space import Space
from ...store.store import Entry, Store
from ...workload.loader import LoadedWorkload
from ...workload.outputs import OutputChoice
from ...workload.task import Task
from ...workload.workload import Array, Metric, Split

Note = Callable[[Entry], Any]


class Models(ABC):
    """Float models and data of one workload, kept in a store. Unless a kind says more, nothing is trained."""

    def __init__(self, loaded: LoadedWorkload, store: Store, progress: Progress) -> None:
        self.loaded, self.store, self.progress = loaded, store, progress

    @property
    def metric(self) -> Metric:
        """The workload's quality metric."""
        return self.loaded.workload.metric

    @property
    @abstractmethod
    def outputs(self) -> OutputChoice:
        """Which outputs of the model are meant: by the metric, by labels and by the teacher.

        Raises:
            UserError: more than one reading.
        """

    @property
    @abstractmethod
    def task(self) -> Task:
        """What the model is for; `UNKNOWN` where nothing tells and nothing is trained."""

    def expected_task(self) -> Task:
        """What the model is for, as far as that is known before the teacher is trained."""
        return self.task

    def say_purpose(self) -> None:
        """Tell in the log how task and outputs were read."""
        task, choice = self.task, self.outputs
        self.progress.note(f"task: {task.name} ({task.because})")
        if choice.because:
            self.progress.note(f"outputs: {choice.because}")

    def purpose_facts(self) -> dict[str, Any]:
        """What reports say about task and outputs."""
        task, choice = self.task, self.outputs
        several = {"outputs": list(choice.names), "outputs_because": choice.because}
        return {"task": task.name, "task_because": task.because, **(several if choice.others else {})}

    @abstractmethod
    def prepare(self, space: Space) -> None:
        """Check the models of a space, and train the teacher where it must be.

        Raises:
            UserError: something in the workload is wrong; the message names the place and the remedy.
        """

    def possible(self, space: Space, batch: int = 1) -> PossibleSpace:
        """The space without what no model of it can have, tried with untrained weights. `batch` is the number
        of rows that are run at once on the device.

        Raises:
            UserError: the teacher cannot be built.
        """
        return PossibleSpace(space=space)

    def trains(self, candidate: Candidate) -> bool:
        """Whether the candidate needs training beyond the teacher's own."""
        return False

    def trainings(self, candidate: Candidate) -> tuple[Training, ...]:
        """The trainings that the candidate needs beyond the teacher's own, in order, with those that are
        done. Cheap: trains and builds nothing."""
        return ()

    def untrained(self, candidate: Candidate) -> Untrained:
        """What the candidate's network tells before any training, as far as that is known by now."""
        return UNTOLD

    def looked_at(self, candidate: Candidate, note: Note) -> Untrained:
        """The same with what takes about as long as a measurement: passes of the untrained network."""
        return self.untrained(candidate)

    def kept(self, space: Space) -> frozenset[TrainingKey] | None:
        """Where nothing is trained any more, the trainings of a space whose results are there; None where
        that leaves nothing out."""
        return None

    def has(self, candidate: Candidate, qat: QatPlan | None) -> bool:
        """Whether the weights of a candidate, trained on by such a plan, can be had at all."""
        return True

    @abstractmethod
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
        """The float model in the backend's source format; `meta` has "file" and "format".

        With `trained` false it has the structure and untrained weights. `note` is told each entry made or
        found on the way. `judge` may end a training at its milestones (None: it never does). With `qat` the
        trained weights went through quantization-aware training.

        Raises:
            TrainingStopped: the judge gave a training up; a later call goes on from there.
        """

    def float_quality(self, candidate: Candidate) -> float | None:
        """Quality on validation of the trained weights in PyTorch; None where they are not trained yet, or
        where there is no PyTorch model."""
        return None

    def qat_plan(self, candidate: Candidate, epochs: int) -> QatPlan | None:
        """Quantization-aware training for the candidate's precision; None where there is none."""
        return None

    def simulated(self, candidate: Candidate, plan: QatPlan) -> float:
        """The quality on validation that the fake quantizer of a finished training predicts."""
        raise InternalError(f"{candidate.title} cannot be trained")

    def epoch_seconds(self, candidate: Candidate) -> float | None:
        """What an epoch of training the candidate's model takes; None where nothing is trained."""
        return None

    @abstractmethod
    def size(self, candidate: Candidate) -> dict[str, Quantity]:
        """Parameters and multiply-adds of the float model."""

    @abstractmethod
    def teacher_facts(self) -> dict[str, Any]:
        """What reports say about the teacher."""

    def remarks(self) -> tuple[str, ...]:
        """Sentences on a teacher that is wrong or unstable, as far as that is known already."""
        return ()

    def split(self, name: str) -> tuple[Split, str]:
        """A split and its content digest."""
        return getattr(self.loaded.splits, name), self.loaded.data_digests[name]

    def calibration(self) -> tuple[Mapping[str, Array], str]:
        """Calibration inputs and their content digest."""
        split, digest = self.split("calibration")
        return split.inputs, digest


def exact(value: float, how: str) -> Quantity:
    """A number that was counted and not measured."""
    return Quantity(value=value, low=value, high=value, how=how)
