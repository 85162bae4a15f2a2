"""Models that were trained before: they are found, or refused, and never trained."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from paretune.backends.registry import get_backend
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.progress import Progress
from paretune.search.record.treatment import QatPlan
from paretune.search.stages.models import trainer
from paretune.search.stages.models.kept import WeightsLostError
from paretune.search.stages.models.kept_models import KeptModels
from paretune.search.store.store import Store
from paretune.search.workload.loader import load_workload

pytestmark = pytest.mark.slow

RECIPE = Recipe(epochs=1, batch=64)
STUDENT = Candidate(backend="ort", precision=Precision.FP32, student=(("width", 8),), recipe=RECIPE)
PLAN = QatPlan(weight_bits=8, activation_bits=8, epochs=1)


@pytest.fixture
def kept(source: Path, store: Callable[[], Store]) -> Callable[[], KeptModels]:
    def kept() -> KeptModels:
        loaded = load_workload(source.name, source.parent)
        return KeptModels(loaded, store(), Progress(), 1, RECIPE, "digits")

    return kept


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **more: object) -> None:
        raise AssertionError("something is trained")

    monkeypatch.setattr(trainer, "train", refuse)


@pytest.mark.usefixtures("no_training")
def test_what_was_never_trained_is_refused_with_or_without_fake_quantization(
    kept: Callable[[], KeptModels],
) -> None:
    models = kept()
    for plan in (None, PLAN):
        with pytest.raises(WeightsLostError):
            models.weights.trained(STUDENT, qat=plan)
        assert not models.has(STUDENT, plan)
    with pytest.raises(WeightsLostError):
        models.exported(STUDENT, get_backend("ort"), 1, trained=True, note=lambda entry: None)
    assert models.qat_plan(STUDENT, 1) is None


def test_what_was_trained_is_found_until_it_is_damaged_and_never_made_again(
    kept: Callable[[], KeptModels], open_models, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = open_models(fallback=RECIPE).trainer.trained(STUDENT)

    def refuse(*args: object, **more: object) -> None:
        raise AssertionError("something is trained")

    monkeypatch.setattr(trainer, "train", refuse)
    found = kept().weights.trained(STUDENT)
    assert (found.key, found.cached) == (made.key, True)
    assert kept().has(STUDENT, None)
    (weights,) = made.path.glob("*.safetensors")
    weights.write_bytes(b"x" + weights.read_bytes()[1:])
    models = kept()
    with pytest.raises(WeightsLostError, match="gone from the store or damaged"):
        models.weights.trained(STUDENT)
    assert not (made.path).exists()


def test_a_teacher_that_is_gone_ends_it_before_anything_is_trained(
    kept: Callable[[], KeptModels], store: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(store().root / "teacher")
    models = kept()
    called: list[object] = []
    monkeypatch.setattr(type(models.teacher.loaded), "call", lambda *args: called.append(args))
    with pytest.raises(UserError, match="does not have the trained teacher"):
        models.teacher.entry()
    assert not called


def test_nothing_is_left_to_train_and_what_was_done_takes_nothing(kept: Callable[[], KeptModels]) -> None:
    models = kept()
    assert not models.trains(STUDENT)
    assert models.epoch_seconds(STUDENT) == 0.0
    assert [training.done for training in models.trainings(STUDENT)] == [False]
