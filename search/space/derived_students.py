"""The two axes of students that are their teacher cut down. Free of torch."""

from __future__ import annotations

from ...profiles.errors import UserError
from ..record.candidate import Scalar

AXES = ("depth", "macs")
"""Shares of the teacher's equal blocks, and of its multiply-adds, that are left."""


def student_shares(student: tuple[tuple[str, Scalar], ...]) -> tuple[float, float]:
    """`depth` and `macs` of a derived student, 1 where it does not name one.

    Raises:
        UserError: another axis, or a value that is no share.
    """
    values = dict(student)
    unknown = sorted(set(values) - set(AXES))
    if unknown:
        raise UserError(
            f"without a `student` builder, students have no axis {unknown[0]!r}",
            place="space.student",
            found=", ".join(unknown),
            accepted="depth (share of the repeated blocks), macs (share of the teacher's multiply-adds)",
            remedy="use these axes, or give the workload a `student` function that takes yours",
        )
    return _share("depth", values.get("depth", 1.0)), _share("macs", values.get("macs", 1.0))


def _share(name: str, value: Scalar) -> float:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not 0 < float(value) <= 1:
        raise UserError(
            f"{name} is no share",
            place=f"space.student.{name}",
            found=repr(value),
            accepted="a number above 0 and up to 1",
        )
    return float(value)
