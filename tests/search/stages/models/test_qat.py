from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Recipe
from paretune.search.record.stops import Interrupted
from paretune.search.record.treatment import QatPlan
from paretune.search.stages.models.qat import QAT_RATE, QatStages
from paretune.search.stages.network.reproducible import state_digest
from paretune.search.stages.training.fake_quantize import LEVELS, FakeQuantization, grid_step
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
def test_a_trained_student_is_trained_on_once_and_reloaded(open_stages, candidate):
    stages, wanted, noted = open_stages(), candidate(), []
    qat = QatStages(stages)
    entry = qat.trained_qat(wanted, PLAN, noted.append)
    assert [step.stage for step in noted] == [
        "teacher",
        "soft-targets",
        "distill",
        "teacher",
        "soft-targets",
        "qat",
    ]
    assert entry.key == qat.key(wanted, PLAN)
    assert (len(entry.meta["losses"]), entry.meta["curve"][-1][0]) == (3, 3)
    assert entry.meta["curve"][-1][1] == entry.meta["quality"]["validation"]
    assert entry.meta["zeros"] == {}
    size = stages.size(wanted)
    assert (
        entry.meta["parameters"] == size["parameters"] - 2 * 16
    )  # scale and shift of the norm are folded in
    model = qat.load_qat(entry, wanted)
    assert on_grid(model, 4)
    assert not model.training
    assert isinstance(model.norm, torch.nn.Identity)
    # Without rounded activations, what was predicted is what the float model says.
    quality = stages.quality(model, stages.loaded.splits.validation)
    assert quality == entry.meta["quality"]["validation"] == entry.meta["float_quality"]
    assert quality > 0.8
    again = open_stages()
    elsewhere = replace(wanted, backend="tflite", precision=Precision.INT4_WEIGHT)
    assert QatStages(again).trained_qat(elsewhere, PLAN).cached
    assert again.counters == {}


@pytest.mark.slow
def test_the_prediction_is_that_of_fake_quantization(open_stages, candidate):
    stages = open_stages()
    qat, wanted = QatStages(stages), candidate(width=4)
    entry = qat.trained_qat(wanted, BOTH)
    model = qat.load_qat(entry, wanted)
    assert on_grid(model, 8)
    split = stages.loaded.splits.calibration
    rounding = FakeQuantization(model, 8, 8)
    rounding.calibrate([[torch.from_numpy(split.inputs["image"])]])
    assert stages.quality(model, stages.loaded.splits.validation) == entry.meta["quality"]["validation"]


def test_all_that_changes_the_result_is_in_the_key(open_stages, candidate):
    qat, wanted = QatStages(open_stages()), candidate()
    keys = {
        qat.key(wanted, PLAN),
        qat.key(wanted, replace(PLAN, epochs=2)),
        qat.key(wanted, replace(PLAN, activation_bits=8)),
        qat.key(candidate(width=8), PLAN),
        qat.key(candidate(sparsity="2:4"), PLAN),
        qat.key(candidate(learning_rate=1e-3), PLAN),
        qat.key(candidate(width=None), PLAN),
        QatStages(open_stages(), Recipe(epochs=9, batch=7)).key(candidate(width=None), PLAN),
    }
    assert len(keys) == 8
    assert qat.key(replace(wanted, backend="ort", precision=Precision.INT8), PLAN) in keys


@pytest.mark.slow
def test_a_stopped_training_goes_on_to_the_same_bits(open_stages, candidate, tmp_path):
    wanted, lines = candidate(width=8, sparsity="unstructured:0.5"), []

    def stop_after_two() -> bool:
        return sum(line.startswith("qat") for line in lines) == 2

    stopped = open_stages(control=Control(should_stop=stop_after_two, progress=lines.append))
    with pytest.raises(Interrupted, match="qat stopped after epoch 2 of 3"):
        QatStages(stopped).trained_qat(wanted, replace(PLAN, activation_bits=8))
    resumed = open_stages()
    entry = QatStages(resumed).trained_qat(wanted, replace(PLAN, activation_bits=8))
    assert resumed.counters == {"qat_trainings": 1}
    whole = open_stages()
    whole.store = type(whole.store)(tmp_path / "other")
    once = QatStages(whole).trained_qat(wanted, replace(PLAN, activation_bits=8))
    assert entry.meta["losses"] == once.meta["losses"]
    models = [QatStages(each).load_qat(found, wanted) for each, found in ((resumed, entry), (whole, once))]
    assert state_digest(models[0]) == state_digest(models[1])


@pytest.mark.slow
@pytest.mark.parametrize("sparsity", ["2:4", "unstructured:0.7", "channel:0.5"])
def test_what_was_pruned_stays_pruned(open_stages, candidate, sparsity):
    stages = open_stages()
    qat, wanted = QatStages(stages), candidate(sparsity=sparsity)
    base = stages.load(stages.trained(wanted), wanted)
    entry = qat.trained_qat(wanted, PLAN)
    model = qat.load_qat(entry, wanted)
    assert on_grid(model, 4)
    for name in ("stem.weight", "body.weight", "head.weight"):
        before, after = base.get_parameter(name).detach(), model.get_parameter(name).detach()
        assert before.shape == after.shape
        assert not after[before == 0].any()
        assert not torch.equal(before, after)
    assert bool(entry.meta["zeros"]) == (not sparsity.startswith("channel"))


@pytest.mark.slow
def test_the_teacher_is_trained_on_by_the_fallback_recipe(open_stages, candidate):
    stages, wanted = open_stages(), candidate(width=None)
    qat = QatStages(stages, Recipe(epochs=1, learning_rate=1e-3, batch=100))
    entry = qat.trained_qat(wanted, replace(PLAN, epochs=1))
    assert entry.provenance["training"]["learning_rate"] == pytest.approx(1e-3 * QAT_RATE)
    assert entry.provenance["training"]["batch"] == 100
    assert entry.meta["quality"]["validation"] > 0.9
    assert on_grid(qat.load_qat(entry, wanted), 4)
