"""Channels of very unequal size are made alike, without a bit of difference in float."""

import copy

import pytest
import torch
from paretune.search.stages.training.channel_paths import paths
from paretune.search.stages.training.equalize import equalize
from torch import nn

IMAGES = torch.randn(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
SCALES = torch.logspace(-2, 2, 16)


def scaled(maker: nn.Module, reader: nn.Module, *between: nn.Module):
    """A net whose channels between two layers have sizes 1e4 apart, which the second makes up for."""
    with torch.no_grad():
        along = (1, -1) if isinstance(maker, nn.ConvTranspose2d) else (-1,)
        maker.weight.mul_(SCALES.reshape(*along, *[1] * (maker.weight.dim() - len(along))))
        maker.bias.mul_(SCALES)
        depthwise = isinstance(reader, nn.Conv2d) and reader.groups > 1
        rows = depthwise or isinstance(reader, nn.ConvTranspose2d)
        shape = (-1,) if rows else (1, -1)
        own = SCALES.repeat_interleave(2) if depthwise else SCALES
        reader.weight.div_(own.reshape(*shape, *[1] * (reader.weight.dim() - len(shape))))
    first = maker if isinstance(maker, nn.BatchNorm2d) else None
    stem = [nn.Conv2d(3, 16, 3), first] if first else [maker]
    return nn.Sequential(*stem, *between, reader).eval()


def spread(net: nn.Module, reader: nn.Module) -> float:
    """How many times the largest channel that enters a layer is the smallest that is not nothing."""
    seen = []
    hook = reader.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0].abs()))
    net(IMAGES)
    hook.remove()
    axis = seen[0].dim() - 1 if isinstance(reader, nn.Linear) else 1
    largest = seen[0].amax([d for d in range(seen[0].dim()) if d != axis])
    return float(largest.max() / largest[largest > 0].min())


NETS = {
    "conv": lambda: scaled(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 4, 3), nn.ReLU()),
    "norm": lambda: scaled(nn.BatchNorm2d(16), nn.Conv2d(16, 4, 1), nn.ReLU(), nn.MaxPool2d(2)),
    "depthwise": lambda: scaled(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 32, 3, groups=16), nn.LeakyReLU()),
    "transposed": lambda: scaled(nn.ConvTranspose2d(3, 16, 2), nn.ConvTranspose2d(16, 4, 2), nn.ReLU()),
    "head": lambda: scaled(
        nn.Conv2d(3, 16, 3), nn.Linear(16, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    ),
}


@pytest.mark.parametrize("name", NETS)
def test_channels_become_alike_and_outputs_stay_the_same_bits(name):
    torch.manual_seed(3)
    net = NETS[name]()
    reader = next(m for m in reversed(list(net.modules())) if hasattr(m, "weight"))
    with torch.no_grad():
        wanted, before = net(IMAGES), spread(net, reader)
        assert equalize(net, IMAGES)
        assert torch.equal(net(IMAGES), wanted)
        assert before > 1000 > 100 * spread(net, reader)
        assert equalize(net, IMAGES) == ()


@pytest.mark.parametrize("between", [nn.ReLU6, nn.Hardswish, nn.Sigmoid])
def test_what_a_factor_does_not_go_through_is_left_alone(between):
    net = scaled(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 4, 3), between())
    before = copy.deepcopy(net.state_dict())
    assert equalize(net, IMAGES) == ()
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


class Twice(nn.Module):
    """The channels are read twice, once by what takes no factor."""

    def __init__(self):
        super().__init__()
        self.net = scaled(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU())

    def forward(self, x):
        read = self.net[1](self.net[0](x))
        return read + self.net[2](read)


def test_channels_that_something_else_reads_too_are_left_alone():
    assert equalize(Twice().eval(), IMAGES) == ()


def test_models_without_such_channels_are_left_alone():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 16, 3), nn.ReLU(), nn.Conv2d(16, 4, 3)).eval()
    assert len(paths(net, (IMAGES,), {})) == 1
    assert equalize(net, IMAGES) == ()


def test_a_model_that_does_not_run_is_left_to_others():
    assert equalize(nn.Linear(5, 2), IMAGES) == ()
