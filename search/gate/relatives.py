"""Who must be at least as good as a candidate: its relatives that are compressed less, of four kinds.

Each kind is an index over the known trials: it finds the least good relative of a candidate without looking
at all of them, and tells how far a new trial is better than a relative, which theory says it should not be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from math import inf
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..record.arrays import Floats
from ..record.candidate import Candidate, Scalar, Sparsity
from ..record.training import training_key


@dataclass(kw_only=True)
class Known:
    """A complete trial. `goodness` is its quality, turned so that more is better.

    `sound` is False where the same trained model is known to be far better in another form: then this one
    broke when it was compiled (say ranges that did not fit), which says nothing about any other.
    """

    number: int
    candidate: Candidate
    goodness: float
    macs: float | None = None
    sound: bool = True


class Relatives(Protocol):
    """One kind of relatives."""

    def least(self, candidate: Candidate, macs: float | None) -> Known | None:
        """The least good of the candidate's relatives that are sound, None where none is known."""

    def learn(self, known: Known) -> float:
        """Take in a trial; the most by which it beats a relative or is beaten by one it is a relative of."""

    def words(self, relative: Known, candidate: Candidate) -> str:
        """What the relative is to the candidate."""


def less_compressed(a: Candidate, b: Candidate) -> bool:
    """Whether `a` keeps more of each number than `b`: more bits in weights or activations and fewer in none,
    or the same precision on the same backend with a scale per channel in place of one per tensor.

    A calibrated `a` counts only where `b` has the same calibration: a bad one costs more than bits do.
    """
    one, two = a.precision.decoded, b.precision.decoded
    same_calibration = _calibration(a) == _calibration(b)
    if (one.calibrated and not same_calibration) or (two.integer and b.per_channel and not a.per_channel):
        return False
    if one.weight_bits < two.weight_bits or one.activation_bits < two.activation_bits:
        return False
    if (one.weight_bits, one.activation_bits) != (two.weight_bits, two.activation_bits):
        return True
    same = a.precision is b.precision and a.backend == b.backend and same_calibration
    return same and a.per_channel and not b.per_channel


def _calibration(candidate: Candidate) -> tuple[str, int]:
    return candidate.calibration_method, candidate.calibration_samples


def less_sparse(a: Candidate, b: Candidate) -> bool:
    """Whether `a` was pruned less than `b`: not at all, or in the same way by a smaller share."""
    one, two = _sparsity(a.sparsity), _sparsity(b.sparsity)
    if one.kind == "dense":
        return two.kind != "dense"
    return one.kind == two.kind and one.share < two.share


@cache
def _sparsity(text: str) -> Sparsity:
    return Sparsity.parse(text)


def _setting(candidate: Candidate) -> Hashable:
    """All that is done to a trained model."""
    return candidate.backend, candidate.precision, *_calibration(candidate), candidate.per_channel


def _recipe_before_pruning(candidate: Candidate) -> Hashable:
    recipe = candidate.recipe
    return candidate.student, recipe and replace(recipe, finetune_epochs=0), _setting(candidate)


class _Pairs:
    """Relatives that share a key and of which a test tells which one is compressed less."""

    def __init__(
        self, key: Callable[[Candidate], Hashable], less: Callable[[Candidate, Candidate], bool]
    ) -> None:
        self._key, self._less = key, less
        self._groups: dict[Hashable, list[Known]] = defaultdict(list)

    def least(self, candidate: Candidate, macs: float | None) -> Known | None:
        group = self._groups.get(self._key(candidate), ())
        found = (known for known in group if known.sound and self._less(known.candidate, candidate))
        return min(found, key=_goodness, default=None)

    def learn(self, known: Known) -> float:
        group = self._groups[self._key(known.candidate)]
        excess = -inf
        for other in group:
            if other.sound and self._less(other.candidate, known.candidate):
                excess = max(excess, known.goodness - other.goodness)
            elif known.sound and self._less(known.candidate, other.candidate):
                excess = max(excess, other.goodness - known.goodness)
        group.append(known)
        return excess


class SamePrunedLess(_Pairs):
    """The same student in the same form, pruned less. Epochs of fine-tuning are part of the pruning."""

    def __init__(self) -> None:
        super().__init__(_recipe_before_pruning, less_sparse)

    def words(self, relative: Known, candidate: Candidate) -> str:
        sparsity = relative.candidate.sparsity
        return "the same student " + ("without pruning" if sparsity == "dense" else f"at {sparsity}")


class SameLessQuantized(_Pairs):
    """The same trained model in a form that keeps more of each number, on any backend."""

    def __init__(self) -> None:
        super().__init__(training_key, less_compressed)

    def words(self, relative: Known, candidate: Candidate) -> str:
        other = relative.candidate
        same = "the same student" if candidate.student else "the same model"
        scales = " per channel" if other.precision is candidate.precision else ""
        place = "" if other.backend == candidate.backend else f" on {other.backend}"
        return f"{same} at {other.precision}{scales}{place}"


class Larger:
    """Larger students in the same form: every size at least as large, one larger, all else equal.

    A size is an axis of the student whose values are numbers. Where multiply-adds are known of both, a
    "larger" student that needs fewer is none: more of that axis (say, a stride) makes a model smaller.
    """

    def __init__(self) -> None:
        self._groups: dict[Hashable, _Students] = {}

    def least(self, candidate: Candidate, macs: float | None) -> Known | None:
        key, sizes = _sizes(candidate)
        group = self._groups.get(key)
        return group.least_larger(sizes, macs) if group and sizes else None

    def learn(self, known: Known) -> float:
        key, sizes = _sizes(known.candidate)
        if not sizes:
            return -inf
        group = self._groups.setdefault(key, _Students(len(sizes)))
        larger = group.least_larger(sizes, known.macs)
        excess = -inf if larger is None else known.goodness - larger.goodness
        if known.sound:
            excess = max(excess, group.best_smaller(sizes, known.macs) - known.goodness)
        group.add(known, sizes)
        return excess

    def words(self, relative: Known, candidate: Candidate) -> str:
        axes = " ".join(f"{name}={value}" for name, value in relative.candidate.student)
        return f"a larger student ({axes})"


def _sizes(candidate: Candidate) -> tuple[Hashable, tuple[float, ...]]:
    """What students must have in common to be compared by their sizes, and the sizes."""
    sizes = tuple(float(value) for _, value in candidate.student if _is_size(value))
    rest = tuple((name, None if _is_size(value) else value) for name, value in candidate.student)
    return (rest, candidate.sparsity, candidate.recipe, _setting(candidate)), sizes


def _is_size(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


class _Students:
    """Students as columns of sizes, multiply-adds (nan: not known) and goodness, to compare one with all."""

    def __init__(self, axes: int) -> None:
        self._members: list[Known] = []
        self._room = np.empty((axes + 2, 8))

    def add(self, known: Known, sizes: Iterable[float]) -> None:
        """Take in one more."""
        count = len(self._members)
        if count == self._room.shape[1]:
            self._room = np.concatenate([self._room, np.empty_like(self._room)], axis=1)
        self._room[:, count] = (*sizes, np.nan if known.macs is None else known.macs, known.goodness)
        self._members.append(known)

    def least_larger(self, sizes: tuple[float, ...], macs: float | None) -> Known | None:
        """The least good of those that are larger and sound."""
        places, goodness = self._beyond(sizes, macs, 1)
        while len(places):
            least = int(np.argmin(goodness))
            known: Known = self._members[places[least]]
            if known.sound:  # nearly always
                return known
            places, goodness = np.delete(places, least), np.delete(goodness, least)
        return None

    def best_smaller(self, sizes: tuple[float, ...], macs: float | None) -> float:
        """The best goodness among those that are smaller."""
        return float(self._beyond(sizes, macs, -1)[1].max(initial=-inf))

    def _beyond(
        self, sizes: tuple[float, ...], macs: float | None, sign: int
    ) -> tuple[NDArray[np.intp], Floats]:
        """Places and goodness of those that are larger (sign 1) or smaller (-1)."""
        *own, own_macs, goodness = self._room[:, : len(self._members)]
        at_least, more = np.ones(len(goodness), dtype=bool), np.zeros(len(goodness), dtype=bool)
        for column, size in zip(own, sizes, strict=True):
            ahead = sign * column
            at_least &= ahead >= sign * size
            more |= ahead > sign * size
        if macs is not None:
            at_least &= ~(sign * own_macs < sign * macs)  # not known is no objection
        places = np.flatnonzero(at_least & more)
        return places, goodness[places]


class TeacherInThatForm:
    """The teacher at the same precision on the same backend, in its best calibration."""

    def __init__(self) -> None:
        self._teachers: dict[Hashable, list[Known]] = defaultdict(list)
        self._best_other: dict[Hashable, float] = defaultdict(lambda: -inf)

    def least(self, candidate: Candidate, macs: float | None) -> Known | None:
        if candidate.is_teacher:
            return None
        sound = (known for known in self._teachers.get(_form(candidate), ()) if known.sound)
        return max(sound, key=_goodness, default=None)

    def learn(self, known: Known) -> float:
        form = _form(known.candidate)
        if known.candidate.is_teacher:
            self._teachers[form].append(known)
        else:
            self._best_other[form] = max(self._best_other[form], known.goodness)
        best = max((teacher.goodness for teacher in self._teachers[form] if teacher.sound), default=inf)
        others = self._best_other[form] if known.candidate.is_teacher else known.goodness
        return others - best

    def words(self, relative: Known, candidate: Candidate) -> str:
        return f"the teacher at {relative.candidate.precision} on {relative.candidate.backend}"


def _form(candidate: Candidate) -> Hashable:
    return candidate.backend, candidate.precision


def _goodness(known: Known) -> float:
    return known.goodness
