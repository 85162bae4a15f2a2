"""What a teacher's structure allows, tried once before a search: values that no model can have are masked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ....profiles.errors import UnsupportedError
from ....profiles.precision import Precision
from ...record.candidate import Candidate
from ...record.evaluation import EVERY_BACKEND, Masked
from ...space.possible import PossibleSpace
from ...space.space import Space, Student
from .networks import Networks, student_title


def possible_space(space: Space, networks: Networks) -> PossibleSpace:
    """The space without the values of student axes, and without the sparsities, that no model of it can have.

    Structures are built with untrained weights. Students of the user's own builder are not tried: what
    they take is theirs to say.

    Raises:
        UserError: the teacher cannot be built.
    """
    students = [student for student in space.students() if student and networks.is_derived(student)]
    refused = {student: why for student in students if (why := _refusal(networks, student))}
    narrowed = _without_values(space, students, refused)
    left = {student: refused[student] for student in narrowed.students() if student in refused}
    together = [Masked(backend=EVERY_BACKEND, what=student_title(s), reason=why) for s, why in left.items()]
    narrowed = replace(narrowed, masked=(*narrowed.masked, *together))
    return PossibleSpace(space=_without_sparsities(narrowed, left, networks), impossible=left)


def _refusal(networks: Networks, student: Student, sparsity: str = "dense") -> str:
    """Why there is no such model; empty where it can be built."""
    try:
        model = networks.build(student)
        if sparsity != "dense":
            networks.sparsify(model, _any_candidate(student, sparsity))
    except UnsupportedError as error:
        return error.reason
    return ""


def _any_candidate(student: Student, sparsity: str) -> Candidate:
    return Candidate(backend="", precision=Precision.FP32, student=student, sparsity=sparsity)


def _without_values(space: Space, students: list[Student], refused: Mapping[Student, str]) -> Space:
    axes, masked = dict(space.student_axes), list[Masked]()
    for axis, values in space.student_axes.items():
        for value in values:
            having = [student for student in students if (axis, value) in student]
            if having and all(student in refused for student in having):
                axes[axis] = tuple(v for v in axes[axis] if v != value)
                reason = refused[having[0]]
                masked.append(Masked(backend=EVERY_BACKEND, what=f"{axis}={value}", reason=reason))
    if not all(axes.values()):
        axes = {}  # of one axis nothing is left, so no student is
    return replace(space, student_axes=axes, masked=(*space.masked, *masked))


def _without_sparsities(space: Space, impossible: Mapping[Student, str], networks: Networks) -> Space:
    asked = dict.fromkeys(s for backend in space.backends for s in backend.sparsities if s != "dense")
    models = [student for student in space.students() if student not in impossible]
    gone: dict[str, str] = {}
    for sparsity in asked:
        reasons = []
        for student in models:  # the teacher first; one model that can have it is enough
            reasons.append(_refusal(networks, student, sparsity))
            if not reasons[-1]:
                break
        if all(reasons):
            gone[sparsity] = reasons[0]
    if not gone:
        return space
    backends = tuple(
        replace(backend, sparsities=tuple(s for s in backend.sparsities if s not in gone))
        for backend in space.backends
    )
    masked = [Masked(backend=EVERY_BACKEND, what=sparsity, reason=why) for sparsity, why in gone.items()]
    left = tuple(backend for backend in backends if backend.sparsities)
    return replace(space, backends=left, masked=(*space.masked, *masked))
