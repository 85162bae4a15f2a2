from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from paretune.backends.contract.backend import WEIGHT_LEVELS as LEVELS
from paretune.backends.ort.backend import OrtBackend
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Recipe
from paretune.search.record.stops import Interrupted
from paretune.search.record.treatment import QatPlan
from paretune.search.stages.models.needed_trainings import QAT_RATE
from paretune.search.stages.network.reproducible import state_digest
from paretune.search.stages.training.fake_quantize import FakeQuantization, grid_step
from paretune.search.stages.training.loop import Control

PLAN = QatPlan(weight_bits=4, activation_bits=0, epochs=3)
BOTH = QatPlan(weight_bits=8, activation_bits=8, epochs=1)
BATCH = 15


def on_grid(model: torch.nn.Module, bits: int) -> bool:
    for name in ("stem.weight", "body.weight", "head.weight"):
        weight = model.get_parameter(name).detach()
        steps = weight / grid_step(weight, LEVELS[bits], 0)
        if (steps - steps.round()).abs().max() > 1e-3:
            return False
    return True


@pytest.mark.slow
def test_a_trained_student_is_trained_on_once_and_reloaded(open_models, candidate):
    models, wanted, noted = open_models(), candidate(), []
    entry = models.trainer.trained(wanted, noted.append, qat=PLAN)
    assert [step.stage for step in noted] == [
        "teacher",
        "soft-targets",
        "distill",
        "teacher",
        "soft-targets",
        "qat",
    ]
    assert entry.key == models.needed.last(wanted, PLAN).key
    assert (len(entry.meta["losses"]), entry.meta["curve"][-1][0]) == (3, 3)
    assert entry.meta["curve"][-1][1] == entry.meta["quality"]["validation"]
    assert entry.meta["zeros"] == {}
    size = models.networks.size(wanted)
    assert (
        entry.meta["parameters"] == size["parameters"] - 2 * 16
    )  # scale and shift of the norm are folded in
    model = models.trainer.load(entry, wanted)
    assert on_grid(model, 4)
    assert not model.training
    assert isinstance(model.norm, torch.nn.Identity)
    # Without rounded activations, what was predicted is what the float model says.
    quality = models.networks.quality(model, models.loaded.splits.validation)
    assert quality == entry.meta["quality"]["validation"] == entry.meta["float_quality"]
    assert quality > 0.8
    again = open_models()
    elsewhere = replace(wanted, backend="tflite", precision=Precision.INT4_WEIGHT)
    assert again.trainer.trained(elsewhere, qat=PLAN).cached


@pytest.mark.slow
def test_the_prediction_is_that_of_fake_quantization(open_models, candidate):
    models = open_models()
    wanted = candidate(width=4)
    entry = models.trainer.trained(wanted, qat=BOTH)
    model = models.trainer.load(entry, wanted)
    assert on_grid(model, 8)
    split = models.loaded.splits.calibration
    rounding = FakeQuantization(model, 8, 8)
    rounding.calibrate([[torch.from_numpy(split.inputs["image"])]])
    assert (
        models.networks.quality(model, models.loaded.splits.validation) == entry.meta["quality"]["validation"]
    )


def test_all_that_changes_the_result_is_in_the_key(open_models, candidate, monkeypatch):
    models, wanted = open_models(), candidate()
    keys = {
        models.needed.last(wanted, PLAN).key,
        models.needed.last(wanted, replace(PLAN, epochs=2)).key,
        models.needed.last(wanted, replace(PLAN, activation_bits=8)).key,
        models.needed.last(candidate(width=8), PLAN).key,
        models.needed.last(candidate(sparsity="2:4"), PLAN).key,
        models.needed.last(candidate(learning_rate=1e-3), PLAN).key,
        models.needed.last(candidate(width=None), PLAN).key,
        open_models(fallback=Recipe(epochs=9, batch=7)).needed.last(candidate(width=None), PLAN).key,
    }
    assert len(keys) == 8
    assert models.needed.last(replace(wanted, backend="ort", precision=Precision.INT8), PLAN).key in keys
    monkeypatch.setattr(OrtBackend, "weight_levels", {4: 8})
    assert models.needed.last(replace(wanted, backend="ort"), PLAN).key not in keys, "another grid of weights"


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_bits(open_models, candidate, tmp_path):
    wanted, lines = candidate(width=8, sparsity="unstructured:0.5"), []
    eight = replace(PLAN, activation_bits=8)

    def stop_after_two() -> bool:
        return sum(line.startswith("qat") for line in lines) == 2

    stopped = open_models(control=Control(should_stop=stop_after_two, progress=lines.append))
    with pytest.raises(Interrupted, match="qat stopped after epoch 2 of 3"):
        stopped.trainer.trained(wanted, qat=eight)
    resumed = open_models()
    entry = resumed.trainer.trained(wanted, qat=eight)
    model = resumed.trainer.load(entry, wanted)
    (tmp_path / "store").rename(tmp_path / "old store")
    whole = open_models()
    once = whole.trainer.trained(wanted, qat=eight)
    assert entry.meta["losses"] == once.meta["losses"]
    assert state_digest(model) == state_digest(whole.trainer.load(once, wanted))


@pytest.mark.slow
@pytest.mark.parametrize("sparsity", ["2:4", "unstructured:0.7", "channel:0.5"])
def test_what_was_pruned_stays_pruned(open_models, candidate, sparsity):
    models = open_models()
    wanted = candidate(sparsity=sparsity)
    base = models.trainer.load(models.trainer.trained(wanted), wanted)
    entry = models.trainer.trained(wanted, qat=PLAN)
    model = models.trainer.load(entry, wanted)
    assert on_grid(model, 4)
    for name in ("stem.weight", "body.weight", "head.weight"):
        before, after = base.get_parameter(name).detach(), model.get_parameter(name).detach()
        assert before.shape == after.shape
        assert not after[before == 0].any()
        assert not torch.equal(before, after)
    assert bool(entry.meta["zeros"]) == (not sparsity.startswith("channel"))


@pytest.mark.slow
def test_the_teacher_is_trained_on_by_the_fallback_recipe(open_models, candidate):
    fallback = Recipe(epochs=1, learning_rate=1e-3, batch=100)
    models, wanted = open_models(fallback=fallback), candidate(width=None)
    entry = models.trainer.trained(wanted, qat=replace(PLAN, epochs=1))
    assert entry.provenance["training"]["learning_rate"] == pytest.approx(1e-3 * QAT_RATE)
    assert entry.provenance["training"]["batch"] == 100
    assert entry.meta["quality"]["validation"] > 0.9
    assert on_grid(models.trainer.load(entry, wanted), 4)
