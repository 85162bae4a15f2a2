"""Models that are hard to copy or whose weights are computed from others: they are cut like any other."""

import threading
import warnings
from pathlib import Path

import pytest
import torch
from paretune.search.stages.cutting.derive import find_derivation
from paretune.search.stages.network.plain import copied, plain_weights
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm, weight_norm

SAMPLE = [torch.randn(2, 4, 10)]


class Scaled(nn.Module):
    def forward(self, weight):
        return weight * 2


def scaled(layer):
    nn.utils.parametrize.register_parametrization(layer, "weight", Scaled())
    return layer


def masked(layer):
    return prune.l1_unstructured(layer, "weight", 0.3)


WAYS = {
    "weight_norm": weight_norm,
    "new weight_norm": parametrizations.weight_norm,
    "spectral_norm": spectral_norm,
    "new spectral_norm": parametrizations.spectral_norm,
    "own": scaled,
    "prune": masked,
}


def net(way):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        layers = [way(nn.Conv1d(a, b, 3, padding=1)) for a, b in ((4, 32), (32, 32))]
    return nn.Sequential(
        layers[0], nn.ReLU(), layers[1], nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, 3)
    )


@pytest.mark.parametrize("way", WAYS)
def test_weights_that_are_computed_become_values_and_can_be_cut(way):
    model = net(WAYS[way]).eval()
    want = model(*SAMPLE)  # leaves computed weights behind, which deepcopy refuses
    names = list(model.state_dict())
    plain = plain_weights(copied(model))
    torch.testing.assert_close(plain(*SAMPLE), want)
    assert sorted(plain.state_dict()) == sorted(nn.Sequential(*net(lambda layer: layer)).state_dict())
    assert list(model.state_dict()) == names  # the original keeps what it has
    torch.testing.assert_close(model(*SAMPLE), want)
    found = find_derivation(model, 1.0, 0.5, SAMPLE)
    student = found.apply(model, SAMPLE)
    assert student[2].weight.shape[0] < 32
    assert student(*SAMPLE).shape == (2, 3)


class Locked(nn.Module):
    """Holds what cannot be copied, and its own layers a second time in a list."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 32), nn.Linear(32, 32), nn.Linear(32, 3)
        self.order = [self.first, self.second]
        self.lock = threading.Lock()
        self.file = Path(__file__).open()  # noqa: SIM115

    def forward(self, x):
        with self.lock:
            for layer in self.order:
                x = torch.relu(layer(x))
        return self.head(x)


def test_what_cannot_be_copied_is_shared_and_weights_are_not():
    model, sample = Locked(), [torch.randn(2, 6)]
    other = copied(model)
    with torch.no_grad():
        other.first.weight.zero_()
    assert other.order[0] is other.first
    assert model.first.weight.abs().sum() > 0
    student = find_derivation(model, 1.0, 0.5, sample).apply(model, sample)
    assert student.second.weight.shape[0] < 32
    assert student(*sample).shape == (2, 3)
    model.file.close()


def shuffled(x, groups=2):
    n, c, h, w = x.shape
    return x.view(n, groups, c // groups, h, w).transpose(1, 2).reshape(n, c, h, w)


class Unit(nn.Module):
    def __init__(self, half):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(half, half, 1), nn.PReLU(half))
        self.two = nn.Conv2d(half, half, 3, 1, 1, groups=half)
        self.three = nn.Conv2d(half, half, 1, groups=2)

    def forward(self, x):
        keep, work = x.chunk(2, dim=1)
        return shuffled(torch.cat([keep, self.three(self.two(self.one(work)))], 1))


class Shuffle(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, 1)
        self.units = nn.Sequential(Unit(16), Unit(16), Unit(16))
        self.last = nn.Sequential(nn.Conv2d(32, 64, 1), nn.PReLU(64))
        self.head = nn.Linear(64, 5)

    def forward(self, image):
        return self.head(self.last(self.units(self.stem(image))).mean((2, 3)))


def test_around_a_channel_shuffle_what_can_be_cut_is_cut():
    model, sample = Shuffle(), [torch.randn(2, 3, 12, 12)]
    found = find_derivation(model, 1.0, 0.5, sample)
    assert found.macs / found.teacher_macs == pytest.approx(0.5, rel=0.1)
    assert {"last.0", "units.0.one.0", "units.2.one.0"} <= found.cut.layers
    kept = {line.split(" ")[0] for line in found.cut.refused}
    assert {"stem", "units.0.three", "units.2.three"} <= kept
    assert found.apply(model, sample)(*sample).shape == (2, 5)
    assert model.stem.out_channels == 32


class Rival(nn.Module):
    """Either of two layers may lose channels, but not both: the code wants one of them whole."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Linear(6, 32), nn.Linear(6, 32)
        self.after_one, self.after_two = nn.Linear(32, 16), nn.Linear(32, 16)
        self.head = nn.Linear(32, 3)

    def forward(self, x):
        a, b = torch.relu(self.one(x)), torch.relu(self.two(x))
        if a.shape[1] < 32 and b.shape[1] < 32:
            raise ValueError("one of them must have 32 channels")
        return self.head(torch.cat([self.after_one(a), self.after_two(b)], 1))


def test_of_layers_that_cannot_be_cut_together_the_first_ones_are():
    model, sample = Rival(), [torch.randn(2, 6)]
    found = find_derivation(model, 1.0, 0.5, sample)
    assert "one" in found.cut.layers
    assert "two" not in found.cut.layers
    assert any(line.startswith("two (Linear)") for line in found.cut.refused)
    assert found.apply(model, sample)(*sample).shape == (2, 3)
