from __future__ import annotations

import pytest
import torch
from paretune.search.record.candidate import Sparsity
from paretune.search.stages.models.networks import WEIGHTS
from paretune.search.stages.network.reproducible import reproducible, state_digest
from paretune.search.stages.training.loop import Control, Data, TrainingPlan, Watch, train
from paretune.search.stages.training.masks import GradualMasks, check_masks, magnitude_masks
from torch import nn

SPARSITY = Sparsity.parse("unstructured:0.8")


def zeros(model: nn.Module) -> float:
    weight = model.get_parameter("0.weight")
    return 1 - weight.count_nonzero().item() / weight.numel()


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 3))


def test_the_share_grows_by_a_cubic_ramp_and_then_stands():
    model, masks = net(), GradualMasks(SPARSITY, steps=90)
    shares = {}
    for done in range(1, 91):
        masks.after_step(model, done)
        shares[done] = zeros(model)
    assert masks.ramp_steps == 60
    for done in (10, 30, 50, 60):
        assert shares[done] == pytest.approx(0.8 * (1 - (1 - done / 60) ** 3), abs=0.005)
    assert shares[30] > 0.5 * 0.8  # most is removed early
    assert list(shares.values()) == sorted(shares.values())
    assert {shares[done] for done in range(60, 91)} == {0.8}
    assert masks.complete
    check_masks(model, masks.masks)


def test_frozen_masks_stay_whatever_the_weights_become():
    model, masks = net(), GradualMasks(SPARSITY, steps=3)
    for done in (1, 2):
        masks.after_step(model, done)
    frozen = {name: keep.clone() for name, keep in masks.masks.keep.items()}
    nn.init.normal_(model[0].weight)
    masks.after_step(model, 3)
    assert zeros(model) == 0.8
    assert all(torch.equal(frozen[name], keep) for name, keep in masks.masks.keep.items())


def test_while_it_grows_the_smallest_weights_go():
    model, masks = net(), GradualMasks(SPARSITY, steps=30)
    masks.after_step(model, 5)
    before = model.get_parameter("0.weight").detach().abs().clone()
    masks.after_step(model, 10)
    gone = model.get_parameter("0.weight") == 0
    assert before[gone].max() <= before[~gone].min()


@pytest.mark.parametrize("steps", [0, 1, 2, 5])
def test_short_trainings_reach_the_whole_share_too(steps):
    model, masks = net(), GradualMasks(SPARSITY, steps)
    for done in range(1, steps):  # one step is left out, as a batch of one sample is
        masks.after_step(model, done)
    masks.finish(model)
    assert zeros(model) == 0.8
    check_masks(model, masks.masks)


def test_depthwise_grouped_and_recurrent_layers():
    model = nn.ModuleDict(
        {
            "stem": nn.Conv2d(1, 8, 3),
            "depthwise": nn.Conv2d(8, 8, 3, groups=8),
            "grouped": nn.Conv2d(8, 8, 3, groups=2),
            "gru": nn.GRU(8, 4),
            "one": nn.Linear(1, 1),
        }
    )
    masks = magnitude_masks(model, SPARSITY)
    assert set(masks.keep) == {
        "stem.weight",
        "grouped.weight",
        "gru.weight_ih_l0",
        "gru.weight_hh_l0",
        "one.weight",
    }
    assert masks.notes == ("depthwise.weight is dense: it is a depthwise convolution, which has few weights",)
    assert masks.keep["one.weight"].all()  # a layer without any weight passes nothing on
    assert "depthwise.weight" not in magnitude_masks(model, Sparsity.parse("2:4")).keep


def run(path=None, control=None, patience=0) -> tuple[nn.Module, GradualMasks, list[float]]:
    plan = TrainingPlan(
        stage="test",
        epochs=6,
        learning_rate=0.02,
        batch=8,
        temperature=1.0,
        distill_weight=0.0,
        seed=3,
        patience=patience,
    )
    torch.manual_seed(0)
    inputs, labels = torch.randn(32, 20), torch.arange(32) % 3
    data = Data(inputs=[inputs], labels=labels, soft_targets=None, loss="classification")
    seen: list[float] = []

    def quality(model: nn.Module) -> float:
        seen.append(zeros(model))
        return 1.0 - zeros(model)  # the fewer zeros the better: early stopping must not fall for it

    masks = GradualMasks(SPARSITY, steps=6 * 4)
    with reproducible(plan.seed, 1):
        model = net()
        watch = Watch(key="k", kind="prune", quality=quality)
        train(model, data, plan, path, control or Control(), masks, watch)
    return model, masks, seen


class Kill(Exception):
    pass


def test_training_goes_on_to_the_same_bits_within_the_ramp_and_after_it(tmp_path):
    expected, _, _ = run()
    path = tmp_path / "checkpoint.pt"
    for epoch in (2, 5):

        def progress(line: str, epoch: int = epoch) -> None:
            if line.startswith(f"test: epoch {epoch} "):
                raise Kill

        with pytest.raises(Kill, match=""):
            run(path, Control(progress=progress))
    resumed, masks, _ = run(path)
    assert state_digest(resumed) == state_digest(expected)
    assert check_masks(resumed, masks.masks)["0.weight"] == 0.8


def test_early_stopping_counts_only_epochs_with_all_zeros():
    model, _, seen = run(patience=1)
    assert zeros(model) == 0.8
    assert seen == pytest.approx([0.7, 0.7875, 0.8, 0.8], abs=0.01)  # two rungs, and the epochs that count


@pytest.mark.slow
def test_a_kill_within_the_ramp_changes_no_bit(open_models, candidate, killed, tmp_path):
    wanted = candidate(sparsity="unstructured:0.75", epochs=2, finetune_epochs=4)
    killed(wanted, "finetune: epoch 3")
    resumed = open_models().trainer.trained(wanted)
    (tmp_path / "store").rename(tmp_path / "old store")
    whole = open_models().trainer.trained(wanted)
    old = tmp_path / "old store" / "prune" / resumed.key / WEIGHTS
    assert old.read_bytes() == (whole.path / WEIGHTS).read_bytes()
    assert resumed.meta["losses"] == whole.meta["losses"]
    assert resumed.meta["zeros"]["body.weight"] == 0.75
