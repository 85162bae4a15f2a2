"""The candidates that a sampler chooses from, as arrays: axes, hardware classes, trained models."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter
from typing import Any

import numpy as np

from ..record.arrays import Floats, Integers
from ..record.candidate import Candidate, Recipe, Scalar, Sparsity
from ..record.training import training_key
from ..space.space import Space

LARGEST = 20_000
"""A space of more candidates is drawn from at random; so many are kept."""
TEACHER = "teacher"
WEIGHTS = ("recipe", "calibration_method", "calibration_samples")
_of_hardware = attrgetter(*(field.name for field in fields(Candidate) if field.name not in WEIGHTS))
"""What decides a candidate's hardware class, `WEIGHTS` what does not."""


class Pool:
    """Candidates of a space, every one of them where there are at most `LARGEST`, and `extra` ones from
    elsewhere; `own` marks those of the space.

    `classes` maps each row to its hardware class (`class_candidates`), `models` to its trained model
    (`model_candidates`: student, sparsity and recipe alike).
    """

    def __init__(self, space: Space, seed: int, extra: Iterable[Candidate] = ()) -> None:
        own = dict.fromkeys(_candidates(space, seed))
        self.candidates: list[Candidate] = list({**own, **dict.fromkeys(extra)})
        self.own = np.arange(len(self.candidates)) < len(own)
        self.row = {candidate: row for row, candidate in enumerate(self.candidates)}
        # Candidates of a space are canonical: they differ within a class in recipe and calibration alone.
        kinds, _ = grouped([_of_hardware(c) for c in self.candidates])
        first = np.unique(kinds, return_index=True)[1]
        places, self.class_candidates = grouped([self.candidates[row].hardware_class() for row in first])
        self.classes = places[kinds]
        self.models, _ = grouped([training_key(c) for c in self.candidates])
        self.first_of_model = np.unique(self.models, return_index=True)[1]
        self.model_candidates = [self.candidates[row] for row in self.first_of_model]

    def __len__(self) -> int:
        return len(self.candidates)


def _candidates(space: Space, seed: int) -> list[Candidate]:
    if space.size <= LARGEST:
        return list(space.candidates())
    rng = random.Random(seed)
    found = dict.fromkeys(space.baselines())
    for _ in range(4 * LARGEST):
        found[space.draw(rng)] = None
        if len(found) >= LARGEST:
            break
    return list(found)


def grouped(keys: Sequence[Any]) -> tuple[Integers, list[Any]]:
    """Each key's group, and the groups."""
    numbers: dict[Any, int] = {}
    rows = [numbers.setdefault(key, len(numbers)) for key in keys]
    return np.array(rows, dtype=np.int64), list(numbers)


def model_axes(candidate: Candidate) -> dict[str, Scalar]:
    """What decides the trained model, by axis; the teacher's own structure is a value of every axis."""
    axes: dict[str, Scalar] = {f"student {name}": value for name, value in candidate.student}
    axes["model"] = "student" if candidate.student else TEACHER
    axes["sparsity"] = candidate.sparsity
    if candidate.recipe is not None:
        axes["temperature"] = candidate.recipe.temperature
        axes["distill weight"] = candidate.recipe.distill_weight
        if candidate.recipe.hidden_weight:
            axes["hidden weight"] = candidate.recipe.hidden_weight
        if candidate.recipe.order != Recipe.order:
            axes["order"] = candidate.recipe.order
    return axes


def deploy_axes(candidate: Candidate) -> dict[str, Scalar]:
    """What decides how the model is deployed, by axis."""
    return {
        "backend": candidate.backend,
        "precision": str(candidate.precision),
        "weight bits": candidate.precision.decoded.weight_bits,
        "calibration": candidate.calibration_method,
        "samples": candidate.calibration_samples,
        "per channel": candidate.per_channel,
    }


def one_hot(rows: Sequence[dict[str, Scalar]]) -> tuple[Floats, int]:
    """Each axis that varies one-hot, side by side, and how many such axes there are."""
    names = dict.fromkeys(name for row in rows for name in row)
    columns = []
    for name in names:
        codes, values = grouped([row.get(name, TEACHER) for row in rows])
        if len(values) > 1:
            columns.append(np.eye(len(values))[codes])
    stacked = np.concatenate(columns, axis=1) if columns else np.zeros((len(rows), 0))
    return stacked, len(columns)


def positions(candidates: Sequence[Candidate]) -> Floats:
    """Numeric axes of the model, each from 0 to 1 in the order of its values; the teacher lies beyond."""
    columns: list[Floats] = []
    students = [dict(c.student) for c in candidates]
    for name in dict.fromkeys(name for student in students for name in student):
        values = [student.get(name) for student in students]
        known = sorted({float(v) for v in values if isinstance(v, int | float) and _is_number(v)})
        if len(known) > 1 and all(v is None or _is_number(v) for v in values):
            place = {value: order / (len(known) - 1) for order, value in enumerate(known)}
            columns.append(np.array([1.3 if v is None else place[float(v)] for v in values]))
    shares = {text: Sparsity.parse(text).share for text in {c.sparsity for c in candidates}}
    removed = np.array([shares[c.sparsity] for c in candidates])
    if removed.any():
        columns.append(removed / removed.max())
    return np.stack(columns, axis=1) if columns else np.zeros((len(candidates), 0))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def choice_counts(candidates: Sequence[Candidate]) -> Floats:
    """How often each choice occurs, where several axes have the same choices (operations of layers, say)."""
    students = [dict(c.student) for c in candidates]
    alike: dict[frozenset[Scalar], list[str]] = defaultdict(list)
    for name in dict.fromkeys(name for student in students for name in student):
        choices = frozenset(student[name] for student in students if name in student)
        if len(choices) > 1:
            alike[choices].append(name)
    columns = []
    for shared, names in alike.items():
        if len(names) > 1:
            ordered = sorted(shared, key=str)
            place = {choice: number for number, choice in enumerate(ordered)}
            counted = np.zeros((len(candidates), len(ordered) + 1))  # the last: no choice at all
            for name in names:
                places = [place[student[name]] if name in student else -1 for student in students]
                counted[np.arange(len(candidates)), places] += 1
            columns += list(counted[:, :-1].T / 1.2)
    return np.stack(columns, axis=1) if columns else np.zeros((len(candidates), 0))


def spread_first(features: Floats, count: int, seed: int) -> list[int]:
    """Rows that together show every value of one-hot `features` as often as `count` rows allow."""
    rng = np.random.default_rng(seed)
    seen, chosen = np.zeros(features.shape[1]), list[int]()
    order = rng.permutation(len(features))
    shuffled, left = features[order], np.zeros(len(order))
    for _ in range(min(count, len(features))):
        place = int(np.argmax(shuffled @ (1.0 / (1.0 + 4.0 * seen)) + left))
        left[place] = -np.inf
        chosen.append(int(order[place]))
        seen += shuffled[place]
    return chosen
