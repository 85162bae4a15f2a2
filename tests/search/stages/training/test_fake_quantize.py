from __future__ import annotations

import copy

import pytest
import torch
from paretune.profiles.errors import InternalError
from paretune.profiles.precision import Precision
from paretune.search.stages.training.fake_quantize import FakeQuantization, WeightGrid, grid_step, qat_bits
from torch import nn


class Mixed(nn.Module):
    """One of each kind of layer that is rounded."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(20, 8)
        self.attention = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.recurrent = nn.LSTM(8, 6, batch_first=True)
        self.conv = nn.Conv1d(6, 8, 3, padding=1, groups=2)
        self.up = nn.ConvTranspose1d(8, 6, 2, stride=2, groups=2)
        self.head = nn.Linear(6, 5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        hidden, _ = self.recurrent(self.attention(self.words(tokens)))
        return self.head(torch.relu(self.up(self.conv(hidden.transpose(1, 2)))).mean(dim=2))


def mixed() -> tuple[Mixed, torch.Tensor]:
    torch.manual_seed(0)
    return Mixed().eval(), torch.randint(0, 20, (16, 7))


AXES = {
    "words.weight": 0,
    "attention.self_attn.in_proj_weight": 0,
    "attention.self_attn.out_proj.weight": 0,
    "attention.linear1.weight": 0,
    "attention.linear2.weight": 0,
    "recurrent.weight_ih_l0": 0,
    "recurrent.weight_hh_l0": 0,
    "conv.weight": 0,
    "up.weight": 1,
    "head.weight": 0,
}


def integers(weight: torch.Tensor, levels: int, axis: int) -> torch.Tensor:
    """Weights in steps of their channel."""
    return weight / grid_step(weight, levels, axis)


@pytest.mark.parametrize(("bits", "levels"), [(4, 7), (8, 64)])
def test_baked_weights_lie_on_the_grid_and_are_those_that_were_computed_with(bits, levels):
    model, tokens = mixed()
    names = set(model.state_dict())
    rounding = FakeQuantization(model, bits, 0)
    with torch.no_grad():
        rounded = model(tokens)
        rounding.bake()
        torch.testing.assert_close(model(tokens), rounded, rtol=0, atol=1e-5)
        for name, axis in AXES.items():
            found = integers(model.get_parameter(name), levels, axis)
            torch.testing.assert_close(found, found.round(), rtol=0, atol=1e-4)
            largest = found.abs().amax(dim=[d for d in range(found.dim()) if d != axis])
            torch.testing.assert_close(largest, torch.full_like(largest, levels))
    assert set(model.state_dict()) == names
    assert not model.training
    assert not any(layer._forward_pre_hooks for layer in model.modules())
    copied = copy.deepcopy(model)
    with torch.no_grad():
        torch.testing.assert_close(copied(tokens), model(tokens))


def test_rounding_twice_changes_nothing():
    model, _ = mixed()
    FakeQuantization(model, 4, 0).bake()
    before = copy.deepcopy(model.state_dict())
    FakeQuantization(model, 4, 0).bake()
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=1e-6, atol=0)


def test_gradients_pass_through_the_rounding_and_zeros_stay_zero():
    weight = torch.tensor([[0.7, -0.24, 0.0], [0.0, 0.0, 0.0]], requires_grad=True)
    rounded = WeightGrid(7, 0)(weight)
    torch.testing.assert_close(rounded, torch.tensor([[0.7, -0.2, 0.0], [0.0, 0.0, 0.0]]))
    (rounded * torch.arange(6.0).view(2, 3)).sum().backward()
    torch.testing.assert_close(weight.grad, torch.arange(6.0).view(2, 3))


def test_all_parameters_learn():
    model, tokens = mixed()
    FakeQuantization(model, 4, 8)
    model.train()
    model(tokens).square().sum().backward()
    assert [name for name, value in model.named_parameters() if value.grad is None] == []


def test_parameters_are_found_under_their_names_in_training():
    model, _ = mixed()
    rounding = FakeQuantization(model, 8, 0)
    assert rounding.trained_name("head.weight") == "head.parametrizations.weight.original"
    assert rounding.trained_name("head.bias") == "head.bias"
    assert {rounding.trained_name(name) for name in AXES} <= {name for name, _ in model.named_parameters()}
    alone = nn.Linear(3, 2)
    name = FakeQuantization(alone, 8, 0).trained_name("weight")
    assert alone.get_parameter(name).shape == (2, 3)


def test_activations_are_rounded_over_the_range_of_all_batches():
    model = nn.Sequential(nn.Identity(), nn.Linear(2, 2, bias=False))
    with torch.no_grad():
        model[1].weight.copy_(torch.eye(2))
    rounding = FakeQuantization(model, 8, 8)
    rounding.calibrate([[torch.tensor([[0.0, 1.0]])], [torch.tensor([[-1.0, 0.5]])]])
    model.eval()
    step = 2 / 255
    with torch.no_grad():
        found = model(torch.tensor([[0.3, 0.0], [5.0, -5.0]]))
    torch.testing.assert_close(found[0], torch.tensor([round(0.3 / step) * step, 0.0]))
    assert found[1, 0] == pytest.approx(1, abs=step)
    assert found[1, 1] == pytest.approx(-1, abs=step)
    model.train()  # over the range of the batch, which clips nothing
    assert model(torch.tensor([[0.3, 5.0]]))[0, 1].item() == pytest.approx(5)


def test_what_has_no_range_is_not_rounded():
    model = nn.Linear(2, 2)
    rounding = FakeQuantization(model, 8, 8)
    zeros, nan = torch.zeros(3, 2), torch.full((3, 2), torch.nan)
    rounding.calibrate([[zeros]])
    torch.testing.assert_close(model(zeros)[0], model.bias)
    model.train()
    assert model(nan).isnan().all()  # and the loss tells


def test_ranges_are_taken_anew_and_without_rounding():
    model, tokens = mixed()
    with torch.no_grad():
        plain = model(tokens)
        rounding = FakeQuantization(model, 8, 8)
        rounding.calibrate([[tokens[:8]], [tokens[8:]]])
        rounded = model(tokens)
        rounding.calibrate([[tokens]])
        torch.testing.assert_close(model(tokens), rounded, rtol=0, atol=0)
    assert 0 < (rounded - plain).abs().max() < 0.1 * plain.abs().max()


def test_attention_still_sees_one_tensor_where_there_was_one():
    seen = []
    attention = nn.MultiheadAttention(8, 2, batch_first=True).eval()
    rounding = FakeQuantization(attention, 8, 8)
    attention.register_forward_pre_hook(
        lambda layer, args, kwargs: seen.append((args, kwargs)), with_kwargs=True
    )
    states = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    rounding.calibrate([[states, states, states]])
    attention(states, key=states, value=states, need_weights=False)
    (query,), kwargs = seen[-1]
    assert query is kwargs["key"] is kwargs["value"]
    assert query is not states
    assert kwargs["need_weights"] is False


def test_tied_weights_stay_tied():
    words, head = nn.Embedding(12, 6), nn.Linear(6, 12, bias=False)
    head.weight = words.weight
    model = nn.Sequential(words, head)
    rounding = FakeQuantization(model, 4, 0)
    with torch.no_grad():
        rounded = model(torch.arange(12))
    rounding.bake()
    assert head.weight is words.weight
    with torch.no_grad():
        torch.testing.assert_close(model(torch.arange(12)), rounded)


def test_precisions_that_can_be_trained_for():
    found = {precision: qat_bits(precision) for precision in Precision}
    assert {precision: bits for precision, bits in found.items() if bits} == {
        Precision.INT8: (8, 8),
        Precision.INT8_DYNAMIC: (8, 8),
        Precision.INT16X8: (8, 0),
        Precision.INT8_WEIGHT: (8, 0),
        Precision.INT4_WEIGHT: (4, 0),
    }
    with pytest.raises(InternalError, match="no grid for 3-bit weights, 8-bit activations"):
        FakeQuantization(nn.Linear(2, 2), 3, 8)
