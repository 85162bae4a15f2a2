"""The trainings whose candidates a space looks at."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..record.candidate import Candidate, Recipe, Scalar
from ..record.training import TrainingKey, training_key

Student = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True)
class Trained:
    """So many trained models, beside the teacher as it is."""

    keys: frozenset[TrainingKey]

    def __len__(self) -> int:
        return len(self.keys)

    def has(self, candidate: Candidate) -> bool:
        """Whether the candidate's model is one of them; of one that stands for a class of the hardware,
        whether any of its models is."""
        if candidate.is_teacher:
            return True
        key = training_key(candidate)
        return key in self.keys if candidate.recipe is not None else key[:2] in self._recipes

    def recipes(self, student: Student, sparsity: str) -> set[Recipe | None]:
        """How this student was trained at this sparsity."""
        return self._recipes.get((tuple(sorted(student)), sparsity), set())

    def students(self, students: list[Student]) -> list[Student]:
        """Those of them that were trained at all."""
        wanted = {student for student, _, _ in self.keys}
        return [student for student in students if tuple(sorted(student)) in wanted]

    def models(self, sparsity: str) -> int:
        """How many models have this sparsity, the teacher as it is among them."""
        return sum(of == sparsity for _, of, _ in self.keys) + (sparsity == "dense")

    @cached_property
    def _recipes(self) -> dict[tuple[Student, str], set[Recipe | None]]:
        found: dict[tuple[Student, str], set[Recipe | None]] = {}
        for student, sparsity, recipe in self.keys:
            found.setdefault((student, sparsity), set()).add(recipe)
        return found
