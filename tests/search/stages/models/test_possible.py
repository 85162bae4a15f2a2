"""What a teacher's structure does not allow is masked once, before anything is trained."""

from dataclasses import replace

from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Recipe
from paretune.search.record.evaluation import EVERY_BACKEND
from paretune.search.space.space import BackendChoices, Space
from torch import nn


def space(sparsities=("dense",), **axes):
    backend = BackendChoices(
        name="toy", precisions=(Precision.FP32,), calibration_methods=(), sparsities=sparsities
    )
    return Space(
        backends=(backend,),
        student_axes=axes,
        temperatures=(4.0,),
        weights=(0.7,),
        calibration_samples=(16,),
        per_channel=(True,),
        recipe=Recipe(epochs=1),
    )


def rows(found):
    return {(m.backend, m.what) for m in found.space.masked}


def test_values_of_axes_that_no_student_can_have_are_masked_with_their_reason(open_models):
    models = open_models(student=None)
    found = models.possible(space(depth=(1.0, 0.5), macs=(0.5, 0.25, 1e-6)))
    assert rows(found) == {(EVERY_BACKEND, "depth=0.5"), (EVERY_BACKEND, "macs=1e-06")}
    assert found.space.student_axes == {"depth": (1.0,), "macs": (0.5, 0.25)}
    assert found.impossible == {}
    reasons = {m.what: m.reason for m in found.space.masked}
    assert "no stack of equal blocks" in reasons["depth=0.5"]
    assert "nearest shares" in reasons["macs=1e-06"]
    assert not (models.store.root / "distill").exists()


def test_where_no_student_can_be_the_teacher_is_left(open_models):
    found = open_models(student=None).possible(space(depth=(0.5,), macs=(0.5,)))
    assert found.space.student_axes == {}
    assert (EVERY_BACKEND, "depth=0.5") in rows(found)
    assert len(list(found.space.candidates())) == 1


def test_students_whose_values_are_possible_but_not_together_are_named(open_models):
    def blocks():
        half = nn.Sequential(*(nn.Linear(64, 64) for _ in range(4)))
        return nn.Sequential(nn.Flatten(), half, nn.Linear(64, 10))

    found = open_models(student=None, teacher=blocks).possible(space(depth=(1.0, 0.25), macs=(1.0, 0.8)))
    together = (("depth", 0.25), ("macs", 0.8))
    assert set(found.impossible) == {together}
    assert rows(found) == {(EVERY_BACKEND, "depth=0.25 macs=0.8")}
    assert found.space.student_axes == {"depth": (1.0, 0.25), "macs": (1.0, 0.8)}


def test_a_sparsity_that_no_model_can_have_is_masked_on_every_backend(open_models):
    def narrow():
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))

    found = open_models(teacher=narrow, student=None).possible(space(("dense", "channel:0.5")))
    assert rows(found) == {(EVERY_BACKEND, "channel:0.5")}
    assert found.space.backends[0].sparsities == ("dense",)


def test_what_the_users_own_builder_takes_is_not_tried(open_models):
    def never(width):
        raise AssertionError("it was built")

    asked = space(width=(4, 8))
    assert open_models(student=never).possible(asked).space == asked
    assert open_models().possible(replace(asked, trains=False)).space == replace(asked, trains=False)
