"""A space of what was trained already."""

from __future__ import annotations

import random

import pytest
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.training import training_key
from paretune.search.space.kept import of_kept
from paretune.search.space.space import BackendChoices, Space


def choices(name: str, *sparsities: str) -> BackendChoices:
    precisions = (Precision.FP32, Precision.INT8)
    return BackendChoices(
        name=name, precisions=precisions, calibration_methods=("minmax",), sparsities=sparsities
    )


SPACE = Space(
    backends=(choices("ort", "dense", "channel:0.5"), choices("tflite", "dense")),
    student_axes={"width": (4, 8), "depth": (1, 2)},
    temperatures=(4.0, 2.0),
    weights=(0.7, 0.0),
    calibration_samples=(16,),
    per_channel=(True,),
    recipe=Recipe(epochs=3, finetune_epochs=2),
)
TRAININGS = {training_key(candidate): candidate for candidate in SPACE.trainings()}
KEPT = frozenset(list(TRAININGS)[1::5])


def narrowed() -> Space:
    return of_kept(SPACE, KEPT, lambda candidate: "was not trained")


def test_its_candidates_are_those_of_the_whole_space_whose_training_is_kept() -> None:
    kept = [c for c in SPACE.candidates() if c.is_teacher or training_key(c) in KEPT]
    found = list(narrowed().candidates())
    assert found == kept
    assert narrowed().size == len(found)
    assert {training_key(c) for c in narrowed().trainings()} == KEPT


def test_parameters_stay_as_they_are_so_that_a_storage_goes_on() -> None:
    for candidate in narrowed().candidates():
        assert narrowed().params(candidate) == SPACE.params(candidate)


def test_only_trained_models_are_looked_at_and_hardware_classes_of_such() -> None:
    space, classes = narrowed(), set[Candidate]()
    for candidate in SPACE.candidates():
        looked_at = candidate.is_teacher or training_key(candidate) in KEPT
        assert space.looks_at(candidate) == looked_at
        classes |= {candidate.hardware_class()} if looked_at else set()
    for candidate in SPACE.candidates():
        plain = candidate.hardware_class()
        structures = {(c.student, c.sparsity) for c in classes}
        assert space.looks_at(plain) == ((plain.student, plain.sparsity) in structures)


def test_the_whole_space_looks_at_everything() -> None:
    assert all(SPACE.looks_at(SPACE.draw(random.Random(seed))) for seed in range(50))


def test_without_any_training_the_teacher_is_left() -> None:
    space = of_kept(SPACE, frozenset(), lambda candidate: "was not trained")
    assert all(candidate.is_teacher for candidate in space.candidates())
    assert space.size == len(list(space.candidates())) == 4
    assert space.students() == [()]


def test_what_is_left_out_is_masked_with_its_reason_and_many_are_counted() -> None:
    masked = of_kept(SPACE, frozenset(), lambda c: "lost" if c.sparsity == "dense" else "not trained").masked
    assert {m.reason for m in masked} == {"lost", "not trained"}
    assert len(masked) <= 2 * 13
    assert len({m.what for m in masked if m.reason == "lost"}) == 4


@pytest.mark.parametrize("count", [1, 3])
def test_keys_of_other_spaces_count_nothing(count: int) -> None:
    foreign = training_key(
        Candidate(
            backend="ort", precision=Precision.FP32, student=(("width", 99),), recipe=Recipe(epochs=count)
        )
    )
    assert of_kept(SPACE, KEPT | {foreign}, lambda c: "").size == narrowed().size
