"""Which trainings a candidate needs, under which keys, what each would cost, and which are done."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ....backends.contract.backend import WEIGHT_LEVELS
from ....backends.registry import get_backend
from ....profiles.errors import InternalError
from ...record.candidate import Candidate, Recipe
from ...record.protocols import Training
from ...record.training import DISTILL, NeededTraining, TrainingKey, needed, training_key
from ...record.treatment import QAT, QatPlan
from ...store.store import Entry, Store
from ..training.loop import TrainingPlan
from . import keys
from .lessons import Lessons
from .networks import structure_of

# Of the recipe's learning rate. Students that were trained to the end gain the same from a quarter to the
# whole of it; those that were not gain more from more.
QAT_RATE = 0.5


@dataclass(frozen=True, kw_only=True)
class Step:
    """One training on the way to a candidate. `kind` is also the stage of the store that keeps its result.

    `start` is the candidate whose weights it starts from, under the key `base` (None: a new student).
    """

    kind: str
    key: str
    candidate: Candidate
    recipe: Recipe
    plan: TrainingPlan
    start: Candidate | None = None
    base: str = ""
    qat: QatPlan | None = None


class Trainings:
    """The trainings of candidates. Asked for every candidate of a space, often: each is worked out once.

    `fallback` is how the teacher itself is trained on, which has no recipe.
    """

    def __init__(self, lessons: Lessons, store: Store, fallback: Recipe | None = None) -> None:
        self._lessons, self._store, self.fallback = lessons, store, fallback or Recipe(epochs=1)
        self._networks, self._loaded = lessons.networks, lessons.loaded
        self._steps: dict[TrainingKey, tuple[Step, ...]] = {}

    def key(self, candidate: Candidate) -> str:
        """Content key of the candidate's trained weights; trains nothing."""
        last = self.last(candidate)
        return last.key if last else self._lessons.teacher.key

    def last(self, candidate: Candidate, qat: QatPlan | None = None) -> Step | None:
        """The training that ends in the candidate's weights; None for the teacher's."""
        steps = self.steps(candidate)
        return self._qat(candidate, qat) if qat else steps[-1] if steps else None

    def steps(self, candidate: Candidate) -> tuple[Step, ...]:
        """The trainings that the candidate needs beyond the teacher's, in order."""
        wanted = training_key(candidate)
        if wanted not in self._steps:
            if not candidate.is_teacher and candidate.recipe is None:
                raise InternalError(f"candidate {candidate.title} is to be trained, but has no recipe")
            self._steps[wanted] = tuple(
                self._distill(candidate, step) if step.kind == DISTILL else self._prune(candidate, step)
                for step in needed(candidate)
            )
        return self._steps[wanted]

    def of(self, candidate: Candidate) -> tuple[Training, ...]:
        """`steps` as they stand, see `protocols.Training`. Trains and builds nothing."""
        return tuple(self._training(step) for step in self.steps(candidate))

    def _distill(self, candidate: Candidate, step: NeededTraining) -> Step:
        networks, loaded, recipe = self._networks, self._loaded, step.recipe
        key = keys.distill_key(
            step.student,
            recipe,
            loaded.source_digest,
            self._lessons.key(recipe),
            loaded.data_digests,
            networks.tools,
            self._lessons.teacher.key if networks.is_derived(step.student) else "",
        )
        dense, plan = replace(candidate, sparsity="dense"), training_plan(DISTILL, recipe, step.epochs)
        return Step(kind=step.kind, key=key, candidate=dense, recipe=recipe, plan=plan)

    def _prune(self, candidate: Candidate, step: NeededTraining) -> Step:
        dense, recipe = replace(candidate, sparsity="dense"), step.recipe
        base = self.key(dense)
        lesson = self._lessons.key(recipe)
        return Step(
            kind=step.kind,
            key=keys.prune_key(base, step.sparsity, recipe, lesson, self._networks.tools),
            candidate=candidate,
            recipe=recipe,
            plan=training_plan("finetune", recipe, step.epochs),
            start=dense,
            base=base,
        )

    def _qat(self, candidate: Candidate, qat: QatPlan) -> Step:
        """On top of the candidate's weights."""
        recipe = candidate.recipe or self.fallback
        plan = training_plan(QAT, recipe, qat.epochs)
        plan = replace(plan, learning_rate=recipe.learning_rate * QAT_RATE, patience=0)
        base, lesson, tools = self.key(candidate), self._lessons.key(recipe), self._networks.tools
        grid = get_backend(candidate.backend).weight_levels.get(qat.weight_bits)
        levels = None if grid == WEIGHT_LEVELS[qat.weight_bits] else grid
        return Step(
            kind=QAT,
            key=keys.qat_key(base, qat, plan, lesson, self._loaded.data_digests, tools, levels),
            candidate=candidate,
            recipe=recipe,
            plan=plan,
            start=candidate,
            base=base,
            qat=qat,
        )

    def _training(self, step: Step) -> Training:
        entry = self._store.glance(step.kind, step.key)
        return Training(
            key=step.key,
            kind=step.kind,
            work=self._work(step, entry),
            done=entry is not None,
            quality=entry.meta["quality"]["validation"] if entry else None,
            seconds=entry.made_seconds + entry.meta.get("earlier_seconds", 0.0) if entry else None,
            curve=tuple((int(e), float(q)) for e, q in entry.meta.get("curve", ())) if entry else (),
        )

    def _work(self, step: Step, entry: Entry | None) -> float | None:
        size = entry.meta if entry else self._networks.sizes.get(structure_of(step.candidate))
        if size is None:
            return None
        return float(step.plan.epochs * len(self._loaded.splits.train) * size["macs"])


def training_plan(stage: str, recipe: Recipe, epochs: int) -> TrainingPlan:
    """How a recipe trains for so many epochs."""
    return TrainingPlan(
        stage=stage,
        epochs=epochs,
        learning_rate=recipe.learning_rate,
        batch=recipe.batch,
        temperature=recipe.temperature,
        distill_weight=recipe.distill_weight,
        seed=recipe.seed,
        patience=recipe.patience,
    )
