"""What is recorded of an array: a few numbers per sample, and how often each fell where.

This file travels in every bundle: numpy and the standard library, Python 3.9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

MOST_ROWS = 64  # samples of one call that are looked at
MOST_PLACES = 256  # elements of one sample that are looked at
FAR = 8.0  # standard deviations beyond which a value counts as this far
LARGEST = 1e100  # so that squares and sums stay finite
NUMBERS, TOKENS, CLASSES = "numbers", "tokens", "classes"
FLAGS = "flags"


class TensorSeries:
    """The series of one input or output: what is taken of an array, and the numbers that come of it."""

    def __init__(self, plan: Mapping[str, Any]) -> None:
        self.name: str = plan["name"]
        self.side: str = plan["side"]
        self.kind: str = plan["kind"]
        self.series: list[str] = list(plan["series"])
        self.judge: str = plan.get("judge") or ""
        self._shape: tuple[int | None, ...] = tuple(plan["shape"])
        self.fixed = None not in self._shape
        self._places = None if plan.get("places") is None else np.array(plan["places"], dtype=np.intp)
        self._groups = [np.array(group, dtype=np.intp) for group in plan.get("groups", ())]
        self._singles = np.array(plan.get("singles", ()), dtype=np.intp)
        self._wide = bool(plan.get("wide"))
        self._classes = int(plan.get("classes") or 0)
        self._positions = np.array(plan.get("positions", ()), dtype=np.intp)
        self._probabilities = bool(plan.get("probabilities"))
        self._top = np.array(plan.get("top", ()), dtype=np.int64)
        self._known = np.array(plan.get("known", ()), dtype=np.int64)

    def taken(self, array: Any) -> Any:
        """What is looked at of an array (axis 0: samples), as a copy [rows, elements].

        Raises:
            ValueError: it is not of the shape that the model has, or holds no numbers.
        """
        found = np.asarray(array)
        if (found.shape[1:] != self._shape and not self._fits(found.shape)) or found.dtype.kind not in "biuf":
            raise ValueError(f"{self.name} has the shape {found.shape}")
        if self._places is not None and len(found) == 1:  # the usual case, and the shortest way
            return found.reshape(-1).take(self._places)[None]
        rows = found.reshape(len(found), -1)
        if len(rows) > MOST_ROWS:
            rows = rows[:: -(-len(rows) // MOST_ROWS)]
        if self._places is not None:
            return rows.take(self._places, axis=1)
        if not self.fixed and rows.shape[1] > MOST_PLACES:
            rows = rows[:, :: -(-rows.shape[1] // MOST_PLACES)]
        return rows.copy()

    def _fits(self, shape: tuple[int, ...]) -> bool:
        wanted = self._shape
        if len(shape) != len(wanted) + 1:
            return False
        return all(size is None or size == there for size, there in zip(wanted, shape[1:]))  # noqa: B905

    def values(self, taken: Any) -> Any:
        """One row per sample, one column per series, as float64; what is no number stays none."""
        of = {CLASSES: self._of_classes, TOKENS: self._of_tokens, NUMBERS: self._of_numbers}[self.kind]
        with np.errstate(all="ignore"):
            values = of(taken)
        return np.where(np.isfinite(values), np.clip(values, -LARGEST, LARGEST), values)

    def _of_numbers(self, taken: Any) -> Any:
        found = taken.astype(np.float64)
        columns = [found[:, self._singles]]
        if self._wide:
            whole = found if found.shape[1] else np.zeros((len(found), 1))
            parts = [whole.mean(axis=1), whole.std(axis=1)]
            columns.append(np.stack(parts + [found[:, group].mean(axis=1) for group in self._groups], axis=1))
        return np.concatenate(columns[::-1], axis=1)

    def _of_tokens(self, taken: Any) -> Any:
        ids = taken.astype(np.int64)
        if not ids.shape[1]:
            return np.zeros((len(ids), 1 + len(self._top)))
        there = np.isin(ids, self._known)
        shares = [(ids == token).mean(axis=1) for token in self._top]
        return np.stack([1.0 - there.mean(axis=1), *shares], axis=1)

    def _scores(self, taken: Any) -> Any:
        return taken.reshape(len(taken), -1, self._classes).astype(np.float64)

    def _of_classes(self, taken: Any) -> Any:
        scores = self._scores(taken)
        answers = scores.argmax(axis=-1)
        best = scores.max(axis=-1, keepdims=True)
        sure = best[..., 0] if self._probabilities else 1.0 / np.exp(scores - best).sum(axis=-1)
        sure = np.where(np.isfinite(scores).all(axis=-1), sure, np.nan).mean(axis=1)
        if scores.shape[1] == 1:
            return np.stack([np.where(np.isfinite(sure), answers[:, 0], np.nan), sure], axis=1)
        shares = [(answers == number).mean(axis=1) for number in self._top]
        return np.stack([sure, *shares], axis=1)

    def decided(self, taken: Any) -> Any:
        """What is kept of each sample until its label comes."""
        if self.judge == CLASSES and self.kind == CLASSES:
            return self._scores(taken).argmax(axis=-1).astype(np.int32)
        if self.judge == FLAGS:
            return taken > (0.5 if self._probabilities else 0)
        return taken

    def scored(self, decided: Any, target: Any) -> tuple[int | None, float, float] | None:
        """The class of a target (where it has one) and how good the answer was: the share that is right, or
        the mean absolute error; and its square, or the mean squared error. None where nothing is known."""
        wanted = np.asarray(target).reshape(-1)
        if len(self._positions) and len(wanted) > len(self._positions):
            wanted = wanted[self._positions]
        answers = np.asarray(decided).reshape(-1)
        if len(wanted) != len(answers) or wanted.dtype.kind not in "biuf":
            return None
        if self.judge == CLASSES:
            there = wanted >= 0
            if not there.any():
                return None
            share = float((answers[there] == wanted[there]).mean())
            return (int(wanted[0]) if len(wanted) == 1 else None), share, share * share
        if self.judge == FLAGS:
            share = float(((wanted > 0) == (answers > 0)).mean())
            return None, share, share * share
        errors = np.abs(answers.astype(np.float64) - wanted.astype(np.float64))
        if not (len(errors) and np.isfinite(errors).all()):
            return None
        return None, float(errors.mean()), float(np.square(errors).mean())


class Bins:
    """Where the values of all series are counted: below, between and above the edges of each, and apart what
    is no finite number. All counts are one array; `slices` has the part of each series."""

    def __init__(self, series: Sequence[Mapping[str, Any]]) -> None:
        self._edges = [np.array(one["edges"], dtype=np.float64) for one in series]
        self._means = np.array([one["mean"] for one in series], dtype=np.float64)
        spreads = np.array([one["sd"] for one in series], dtype=np.float64)
        self._spreads = np.where(spreads > 0, spreads, 1.0)
        ends = np.cumsum([0, *(len(edges) + 2 for edges in self._edges)])
        self.slices = [slice(int(ends[at]), int(ends[at + 1])) for at in range(len(self._edges))]
        self.size = int(ends[-1])

    def counted(self, values: Any, columns: slice, before: Any = None) -> tuple[Any, Any, Any]:
        """Counts (of the whole length) of the values [rows, series] of the series in `columns`; the sums of
        their deviations, of the squares and of the products with the row before; and the last deviations,
        which the next rows are given as `before`."""
        counts = np.zeros(self.size, dtype=np.int64)
        finite = np.isfinite(values)
        for column, at in enumerate(range(*columns.indices(len(self._edges)))):
            edges, part = self._edges[at], self.slices[at]
            index = np.searchsorted(edges, values[:, column], side="right")
            index[~finite[:, column]] = len(edges) + 1
            counts[part] += np.bincount(index, minlength=part.stop - part.start)
        with np.errstate(all="ignore"):
            apart = (np.where(finite, values, 0.0) - self._means[columns]) / self._spreads[columns]
        apart = np.where(finite, np.clip(np.nan_to_num(apart), -FAR, FAR), 0.0)
        follows = (apart[1:] * apart[:-1]).sum(axis=0) + (0.0 if before is None else before * apart[0])
        return counts, np.stack([apart.sum(axis=0), np.square(apart).sum(axis=0), follows], axis=1), apart[-1]
