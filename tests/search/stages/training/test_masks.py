from __future__ import annotations

import pytest
import torch
from paretune.profiles.errors import InternalError
from paretune.search.record.candidate import Sparsity
from paretune.search.stages.training.masks import Masks, apply_masks, check_masks, magnitude_masks
from torch import nn


def net() -> nn.Module:
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, groups=2), nn.Flatten(), nn.Linear(32, 6)]
    return nn.Sequential(*layers)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.9])
def test_unstructured_masks_remove_the_smallest_share_of_each_layer(share):
    model = net()
    masks = magnitude_masks(model, Sparsity.parse(f"unstructured:{share}"))
    assert set(masks.keep) == {"0.weight", "2.weight", "4.weight"}
    assert masks.notes == ()
    for name, keep in masks.keep.items():
        weight = model.get_parameter(name).detach().abs()
        assert (~keep).sum() == round(share * weight.numel())
        assert weight[~keep].max() <= weight[keep].min()


def test_two_of_each_four_inputs_are_removed_and_the_largest_stay():
    model = net()
    before = {name: value.clone() for name, value in model.named_parameters()}
    masks = magnitude_masks(model, Sparsity.parse("2:4"))
    apply_masks(model, masks)
    assert set(masks.keep) == {"2.weight", "4.weight"}
    assert masks.notes == ("0.weight is dense: its 3 inputs are not a multiple of 4",)
    for name in masks.keep:
        new, old = model.get_parameter(name).detach(), before[name].detach()
        for output in range(len(new)):
            rows = new[output].reshape(new.shape[1], -1)  # inputs, pixels of the kernel
            olds = old[output].reshape(new.shape[1], -1)
            for pixel in range(rows.shape[1]):
                for start in range(0, len(rows), 4):
                    four, was = rows[start : start + 4, pixel], olds[start : start + 4, pixel]
                    assert (four == 0).sum() == 2
                    assert set(four.abs().topk(2).values.tolist()) == set(was.abs().topk(2).values.tolist())
    assert check_masks(model, masks) == {"2.weight": 0.5, "4.weight": 0.5}


def test_equal_weights_are_masked_in_a_fixed_order():
    layer = nn.Linear(8, 1, bias=False)
    nn.init.ones_(layer.weight)
    masks = magnitude_masks(layer, Sparsity.parse("2:4"))
    assert masks.keep["weight"].tolist() == [[True, True, False, False] * 2]


def test_attention_is_masked_too():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    masks = magnitude_masks(layer, Sparsity.parse("2:4"))
    assert set(masks.keep) == {
        "self_attn.in_proj_weight",
        "self_attn.out_proj.weight",
        "linear1.weight",
        "linear2.weight",
    }


def test_a_weight_that_came_back_is_found():
    model = net()
    masks = magnitude_masks(model, Sparsity.parse("2:4"))
    with pytest.raises(InternalError, match=r"removed weights of 2\.weight came back"):
        check_masks(model, masks)
    assert check_masks(model, Masks()) == {}


@pytest.mark.parametrize(("sparsity", "share"), [("2:4", 0.5), ("unstructured:0.75", 0.75)])
def test_zeros_are_kept_through_fine_tuning_and_reloading(open_models, made, candidate, sparsity, share):
    models = open_models()
    wanted = candidate(sparsity=sparsity)
    entry = models.trainer.trained(wanted)
    stem = ["stem.weight is dense: its 1 inputs are not a multiple of 4"] if sparsity == "2:4" else []
    assert entry.meta["notes"] == stem
    assert entry.meta["quality"]["validation"] > 0.6
    model, dense = (
        models.trainer.load(entry, wanted),
        models.trainer.load(models.trainer.trained(candidate()), candidate()),
    )
    for name, zeros in entry.meta["zeros"].items():
        weight = model.get_parameter(name)
        assert zeros == pytest.approx(share, abs=0.01)
        assert 1 - weight.count_nonzero().item() / weight.numel() == zeros
        assert not torch.equal(weight, dense.get_parameter(name))
    assert entry.meta["parameters"] == models.networks.size(candidate())["parameters"]
    assert made(models) == {"teacher": 1, "distill": 1, "prune": 1}


def test_the_untrained_model_has_the_zeros_too(open_models, candidate):
    model = open_models().networks.untrained(candidate(sparsity="2:4"))
    weight = model.get_parameter("body.weight")
    assert weight.count_nonzero().item() == weight.numel() // 2
    assert not model.training
