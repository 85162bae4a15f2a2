"""A recorded space in which untrained networks or unfinished trainings tell less, or nothing of use."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from paretune.search.record.candidate import Candidate
from paretune.search.record.untrained import UNTOLD, Untrained

from benchmarks.simulation.recorded import Recorded, RecordedTraining, Row

Model = tuple[object, str]
"""A student and its sparsity."""
Told = Callable[[Model, Untrained], Untrained]


def silent(table: Recorded) -> Recorded:
    """The same space, whose untrained networks tell nothing."""
    return _telling(table, lambda model, told: UNTOLD)


def shuffled(table: Recorded, seed: int) -> Recorded:
    """The same space, where each network tells the structure and the proxies of another one, drawn at random:
    of no use, and as plausible as the true ones. Which networks compute the same stays true."""
    one_of = {_model(candidate): candidate for candidate in table.space.candidates()}
    others = list(one_of)
    random.Random(seed).shuffle(others)
    another = {model: table.row(one_of[other]) for model, other in zip(one_of, others, strict=True)}

    def of_another(model: Model, told: Untrained) -> Untrained:
        row = another[model]
        if row is None:
            return told
        structure = row.untrained.structure if told.structure else {}
        proxies = row.measured_with_it.proxies if told.proxies else {}
        return replace(told, structure=structure, proxies=proxies)

    return _telling(table, of_another)


def misled(table: Recorded, seed: int) -> Recorded:
    """The same space, where each training goes the way of another one of its kind, drawn at random, and then
    ends as it did: its curve is of no use, and as plausible as the true one."""
    trainings = table.trainings()
    changed: dict[str, RecordedTraining] = {}
    for kind in sorted({training.kind for training in trainings.values()}):
        of_kind = [training for training in trainings.values() if training.kind == kind]
        others = list(of_kind)
        random.Random(f"{seed} {kind}").shuffle(others)
        for own, other in zip(of_kind, others, strict=True):
            way = [point for point in other.curve if point[0] < min(own.epochs, other.epochs)]
            end = [point for point in own.curve if point[0] >= own.epochs]
            changed[own.key] = replace(own, curve=(*way, *end))

    def row(candidate: Candidate) -> Row | None:
        known = table.row(candidate)
        if known is None:
            return None
        return replace(known, trainings=tuple(changed[one.key] for one in known.trainings))

    return replace(table, row=row)


def _model(candidate: Candidate) -> Model:
    return candidate.student, candidate.sparsity


def _telling(table: Recorded, told: Told) -> Recorded:
    def row(candidate: Candidate) -> Row | None:
        known, model = table.row(candidate), _model(candidate)
        if known is None:
            return None
        changed = {
            "untrained": told(model, known.untrained),
            "measured_with_it": told(model, known.measured_with_it),
        }
        return replace(known, **changed)

    return replace(table, row=row)
