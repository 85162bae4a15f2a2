"""The finite space of candidates: study file, device profile and installed runtimes, only legal points."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any
from warnings import catch_warnings, simplefilter

from optuna.trial import FixedTrial

from ...profiles.errors import UserError
from ...profiles.precision import Precision
from ..record.candidate import Candidate, Recipe, Scalar
from ..record.evaluation import Masked
from .choosing import Chooser, Drawer, axis_name, pick
from .trained import Student as Student
from .trained import Trained

TEACHER, STUDENT = "teacher", "student"
MOST_CANDIDATES = 50_000
"""Some 100,000 took two minutes of processor time and 3.6 GB before the first of them was tried."""
USUAL = (Precision.GIVEN, Precision.FP32, Precision.FP16, Precision.INT8)


@dataclass(frozen=True, kw_only=True)
class BackendChoices:
    """What one backend offers on the device. `value_dependent` are kinds of sparsity whose latency may depend
    on the values of weights there, with the reasons. `tunable`: it is slow until it is tuned."""

    name: str
    precisions: tuple[Precision, ...]
    calibration_methods: tuple[str, ...]
    sparsities: tuple[str, ...]
    value_dependent: tuple[tuple[str, str], ...] = ()
    tunable: bool = False


@dataclass(frozen=True, kw_only=True)
class Space:
    """All legal candidates. Parameters are conditional: calibration only where a precision needs it,
    student axes only for students, distillation only where something is trained.

    `trains` is False for a model that exists only as ONNX: its structure and weights are given. `kept` are
    the trainings whose candidates are looked at, None: all that the axes make. `suggest` may lead beyond.
    """

    backends: tuple[BackendChoices, ...]
    student_axes: Mapping[str, tuple[Scalar, ...]]
    temperatures: tuple[float, ...]
    weights: tuple[float, ...]
    calibration_samples: tuple[int, ...]
    per_channel: tuple[bool, ...]
    recipe: Recipe
    trains: bool = True
    masked: tuple[Masked, ...] = ()
    kept: Trained | None = None

    def __post_init__(self) -> None:
        if not any(choices.precisions for choices in self.backends):
            whole_first = sorted(self.masked, key=lambda masked: masked.what != "all")
            reasons = "; ".join(f"{m.backend} {m.what}: {m.reason}" for m in whole_first[:8])
            raise UserError(
                "the space is empty: nothing that the study file asks for can exist on this device",
                found=reasons or "no backend",
                remedy="ask for other precisions or backends, or leave them out to search all that exist; "
                "`paretune plan STUDY` shows what is offered and what is masked",
            )
        students = math.prod(len(values) for values in self.student_axes.values())
        if students > MOST_CANDIDATES or self.size > MOST_CANDIDATES:
            raise UserError(
                "the space is too large to be searched",
                place="space",
                found=f"{students} students" if students > MOST_CANDIDATES else f"{self.size} candidates",
                accepted=f"up to {MOST_CANDIDATES} candidates",
                remedy="name fewer values; a coarse space first tells where a fine one is worth it",
            )

    def doubt(self, candidate: Candidate) -> str:
        """Why latency may depend on the values of the candidate's weights, so that untrained ones do not tell
        it; or ""."""
        kind = candidate.sparsity if candidate.sparsity == "2:4" else candidate.sparsity.partition(":")[0]
        found = (dict(b.value_dependent) for b in self.backends if b.name == candidate.backend)
        return next(found, {}).get(kind, "")

    def suggest(self, trial: Chooser) -> Candidate:
        """Turn a trial's choices into a candidate."""
        backend = self._backend(pick(trial, "backend", tuple(b.name for b in self.backends)))
        student: tuple[tuple[str, Scalar], ...] = ()
        if self.student_axes and pick(trial, "model", (STUDENT, TEACHER)) == STUDENT:
            axes = self.student_axes.items()
            student = tuple((axis, pick(trial, axis_name(axis), values)) for axis, values in axes)
        sparsity = pick(trial, _sparsity_name(backend, self.backends), backend.sparsities)
        precision = Precision(pick(trial, f"precision_{backend.name}", tuple(map(str, backend.precisions))))
        method, samples, per_channel = "", 0, True
        if precision.decoded.calibrated:
            method = pick(trial, f"calibration_{backend.name}", backend.calibration_methods)
            samples = pick(trial, "calibration_samples", self.calibration_samples)
        if precision.decoded.integer:
            per_channel = pick(trial, "per_channel", self.per_channel)
        recipe = None
        if self.trains and (student or sparsity != "dense"):
            temperature = pick(trial, "temperature", self.temperatures)
            weight = pick(trial, "distill_weight", self.weights)
            recipe = self._recipe(temperature, weight, sparsity)
        return Candidate(
            backend=backend.name,
            precision=precision,
            student=student,
            sparsity=sparsity,
            recipe=recipe,
            calibration_method=method,
            calibration_samples=samples,
            per_channel=per_channel,
        )

    def params(self, candidate: Candidate) -> dict[str, Any]:
        """The Optuna parameters that lead `suggest` to this candidate; raises as `asked` does."""
        return self.asked(candidate).params

    def asked(self, candidate: Candidate) -> FixedTrial:
        """The trial that leads `suggest` to this candidate.

        Raises:
            UserError: it is not in the space.
        """
        trial = FixedTrial(self._wanted(candidate))
        with suppress(ValueError), catch_warnings():
            simplefilter("ignore")  # a number out of range leads to another candidate
            if self.suggest(trial).digest == candidate.digest:
                return trial
        raise UserError("this candidate is not in the space", found=candidate.title)

    def __contains__(self, candidate: Candidate) -> bool:
        try:
            self.params(candidate)
        except UserError:
            return False
        return True

    def candidates(self) -> Iterator[Candidate]:
        """Every candidate once, in a fixed order."""
        for backend, student in itertools.product(self.backends, self.students()):
            for sparsity, precision in itertools.product(backend.sparsities, backend.precisions):
                for recipe in self._recipes(student, sparsity):
                    for method, samples, per_channel in self._calibrations(backend, precision):
                        yield Candidate(
                            backend=backend.name,
                            precision=precision,
                            student=student,
                            sparsity=sparsity,
                            recipe=recipe,
                            calibration_method=method,
                            calibration_samples=samples,
                            per_channel=per_channel,
                        )

    def trainings(self) -> Iterator[Candidate]:
        """One candidate for each different training: student, sparsity and recipe."""
        if not self.trains:
            return
        sparsities = dict.fromkeys(sparsity for backend in self.backends for sparsity in backend.sparsities)
        for student, sparsity in itertools.product(self.students(), sparsities):
            backend = next(b for b in self.backends if sparsity in b.sparsities)
            precision = backend.precisions[0]
            for recipe in self._recipes(student, sparsity):
                if recipe is not None:
                    yield Candidate(
                        backend=backend.name,
                        precision=precision,
                        student=student,
                        sparsity=sparsity,
                        recipe=recipe,
                    )

    def students(self) -> list[tuple[tuple[str, Scalar], ...]]:
        """The teacher, `()`, and every student."""
        if not self.student_axes:
            return [()]
        rows = itertools.product(*self.student_axes.values())
        students = [tuple(zip(self.student_axes, row, strict=True)) for row in rows]
        return [(), *(students if self.kept is None else self.kept.students(students))]

    def looks_at(self, candidate: Candidate) -> bool:
        """Whether the candidate's model is one of those that are looked at."""
        return self.kept is None or self.kept.has(candidate)

    def draw(self, rng: random.Random) -> Candidate:
        """A candidate at random."""
        return self.suggest(Drawer(rng))

    @cached_property
    def size(self) -> int:
        """Number of candidates."""
        total = 0
        for backend in self.backends:
            for sparsity, precision in itertools.product(backend.sparsities, backend.precisions):
                total += len(list(self._calibrations(backend, precision))) * self._models(sparsity)
        return total

    def _models(self, sparsity: str) -> int:
        """How many models have this sparsity."""
        if self.kept is not None:
            return self.kept.models(sparsity)
        students = self.students()
        each = len(self._recipes(students[-1], sparsity))
        return len(self._recipes((), sparsity)) + each * (len(students) - 1)

    def baselines(self) -> tuple[Candidate, ...]:
        """The simple choices: the uncompressed teacher on each backend, as it is and in every precision that
        a line of the backend's own tools makes; the usual ones first."""
        usual = self.usual_choices()
        found = [
            self._simple(backend, precision)
            for precisions in (USUAL, [p for p in Precision if p not in USUAL])
            for backend in self.backends
            for precision in precisions
            if precision in backend.precisions
        ]
        return (*usual, *(candidate for candidate in found if candidate not in usual))

    def usual_choices(self) -> tuple[Candidate, ...]:
        """The simple choices that everybody tries first: the teacher as it is, at fp16 and at int8; of a
        backend that has to be tuned only where there is no other, since that takes minutes."""
        ready = [backend for backend in self.backends if not backend.tunable] or self.backends
        return tuple(
            self._simple(backend, precision)
            for backend in ready
            for precision in USUAL
            if precision in backend.precisions
        )

    def _simple(self, backend: BackendChoices, precision: Precision) -> Candidate:
        method, samples, per_channel = list(self._calibrations(backend, precision))[-1]
        return Candidate(
            backend=backend.name,
            precision=precision,
            calibration_method=method and backend.calibration_methods[0],
            calibration_samples=samples,
            per_channel=per_channel if len(self.per_channel) == 1 else True,
        )

    def _backend(self, name: str) -> BackendChoices:
        return next(choices for choices in self.backends if choices.name == name)

    def _recipe(self, temperature: float, weight: float, sparsity: str) -> Recipe:
        return replace(
            self.recipe,
            temperature=temperature if weight else self.temperatures[0],  # nothing reads it
            distill_weight=weight,
            finetune_epochs=self.recipe.finetune_epochs if sparsity != "dense" else 0,
        )

    def _recipes(self, student: tuple[tuple[str, Scalar], ...], sparsity: str) -> list[Recipe | None]:
        if not self.trains or (not student and sparsity == "dense"):
            return [None]
        searched = itertools.product(self.temperatures, self.weights)
        found = dict.fromkeys(self._recipe(temperature, weight, sparsity) for temperature, weight in searched)
        if self.kept is None:
            return list(found)
        trained = self.kept.recipes(student, sparsity)
        return [recipe for recipe in found if recipe in trained]

    def _calibrations(self, backend: BackendChoices, precision: Precision) -> Iterator[tuple[str, int, bool]]:
        per_channel = self.per_channel if precision.decoded.integer else (True,)
        if not precision.decoded.calibrated:
            return ((("", 0, pc)) for pc in per_channel)
        return itertools.product(backend.calibration_methods, self.calibration_samples, per_channel)

    def _wanted(self, candidate: Candidate) -> dict[str, Any]:
        recipe = candidate.recipe or self.recipe
        return {
            **{axis_name(axis): value for axis, value in candidate.student},
            "backend": candidate.backend,
            "model": STUDENT if candidate.student else TEACHER,
            "sparsity": candidate.sparsity,
            f"sparsity_{candidate.backend}": candidate.sparsity,
            f"precision_{candidate.backend}": str(candidate.precision),
            f"calibration_{candidate.backend}": candidate.calibration_method,
            "calibration_samples": candidate.calibration_samples,
            "per_channel": candidate.per_channel,
            "temperature": recipe.temperature,
            "distill_weight": recipe.distill_weight,
        }


def _sparsity_name(backend: BackendChoices, backends: tuple[BackendChoices, ...]) -> str:
    # Optuna wants one set of choices per name: a backend with choices of its own gets its own parameter.
    same = all(other.sparsities == backends[0].sparsities for other in backends)
    return "sparsity" if same else f"sparsity_{backend.name}"
