from __future__ import annotations

import copy

import pytest
import torch
from paretune.profiles.errors import InternalError
from paretune.search.stages.training.fold_norms import fold, fold_norms, norm_pairs
from torch import nn


def trained(model: nn.Module, inputs: torch.Tensor) -> nn.Module:
    """The model with norms that do something."""
    torch.manual_seed(1)
    for layer in model.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.5)
            nn.init.normal_(layer.bias)
    model.train()
    with torch.no_grad():
        for _ in range(5):
            model(inputs * 2 + 1)
    return model.eval()


def folded(model: nn.Module, inputs: torch.Tensor) -> tuple[tuple[str, str], ...]:
    """Fold in place, and check that the outputs stay what they were."""
    with torch.no_grad():
        before = model(inputs)
        pairs = fold_norms(model, [inputs[:4]])
        after = model(inputs)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
    return pairs


def norms(model: nn.Module) -> list[str]:
    return [
        name for name, layer in model.named_modules() if isinstance(layer, nn.modules.batchnorm._BatchNorm)
    ]


LAYERS = {
    "conv": (nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6), (8, 4, 9, 9)),
    "depthwise": (nn.Conv2d(4, 8, 3, groups=4), nn.BatchNorm2d(8), (8, 4, 9, 9)),
    "conv1d": (nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6, affine=False), (8, 4, 9)),
    "linear": (nn.Linear(4, 6), nn.BatchNorm1d(6), (8, 4)),
    "transposed": (nn.ConvTranspose2d(4, 6, 3, stride=2), nn.BatchNorm2d(6), (8, 4, 5, 5)),
    "grouped transposed": (nn.ConvTranspose2d(4, 6, 3, groups=2), nn.BatchNorm2d(6), (8, 4, 5, 5)),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_a_norm_goes_into_the_layer_before_it(kind):
    layer, norm, shape = copy.deepcopy(LAYERS[kind])
    inputs = torch.randn(*shape, generator=torch.Generator().manual_seed(0))
    model = trained(nn.Sequential(layer, norm, nn.ReLU()), inputs)
    assert folded(model, inputs) == (("0", "1"),)
    assert isinstance(model[1], nn.Identity)


class Forked(nn.Module):
    """The output of `conv` is read by its norm and by an addition; `twice` runs two times."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.twice, self.first, self.second = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.last, self.end = nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.conv(x)
        hidden = self.norm(hidden) + hidden
        hidden = self.second(self.twice(torch.relu(self.first(self.twice(hidden)))))
        return self.end(self.last(hidden))


class Before(nn.Module):
    """Norms before their layer, after something in place, and over another axis than the layer's outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.conv, self.norm = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)
        self.linear, self.axis = nn.Linear(6, 4), nn.BatchNorm1d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        hidden = self.conv(self.first(x))
        hidden = self.norm(hidden.relu_())
        return self.axis(self.linear(hidden.mean(dim=2)))


def test_only_what_can_be_folded_is():
    inputs = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    model = trained(Forked(), inputs)
    assert ("conv", "norm") in norm_pairs(model, [inputs])
    assert folded(model, inputs) == (("last", "end"),)
    assert norms(model) == ["norm", "first", "second"]
    model = trained(Before(), inputs)
    assert folded(model, inputs) == ()
    assert norms(model) == ["first", "norm", "axis"]


def test_norms_over_the_batch_and_computed_weights_stay():
    inputs = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    batch = nn.BatchNorm2d(4, track_running_stats=False)
    assert folded(nn.Sequential(nn.Conv2d(3, 4, 1), batch).eval(), inputs) == ()
    computed = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 1))
    assert folded(trained(nn.Sequential(computed, nn.BatchNorm2d(4)), inputs), inputs) == ()


def test_an_untrained_model_takes_the_same_shape():
    """This is how weights are loaded again."""
    inputs = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    model, fresh = trained(Forked(), inputs), Forked().eval()
    fold(fresh, fold_norms(model, [inputs]))
    fresh.load_state_dict(model.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(fresh(inputs), model(inputs))
    with pytest.raises(InternalError, match="end cannot be folded into last"):
        fold(fresh, (("last", "end"),))
