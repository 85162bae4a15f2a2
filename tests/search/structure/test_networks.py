"""PyTorch networks as graphs: what they tell, and which of them are one."""

import pytest
import torch
from paretune.profiles.guard.user_code import UserCodeError
from paretune.search.record.untrained import UNTOLD
from paretune.search.stages.network.model_size import model_size
from paretune.search.stages.network.recorded import Recorder
from torch import nn

IMAGES = [torch.linspace(-1, 1, 2 * 3 * 8 * 8).reshape(2, 3, 8, 8)]
ROWS = [torch.linspace(-1, 1, 2 * 5 * 6).reshape(2, 5, 6)]


def block(width):
    conv = nn.Conv2d(width, width, 3, padding=1, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Blocks around which the image is handed through."""

    def __init__(self, depth=2, width=8, forward=lambda x, block: x + block(x), rate=0.1, unused=0):
        super().__init__()
        self.unused = nn.ModuleList(nn.Conv2d(3, 3, 1) for _ in range(unused))
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.blocks = nn.ModuleList(block(width) for _ in range(depth))
        self.head = nn.Sequential(nn.Dropout(rate), nn.Linear(width, 4))
        self.with_block = forward

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = self.with_block(x, block)
        return self.head(x.mean((2, 3)))


class Does(nn.Module):
    """Whatever a function does with two layers and the input."""

    def __init__(self, what):
        super().__init__()
        self.what = what
        self.one, self.two = nn.Linear(6, 6), nn.Linear(6, 6)

    def forward(self, x):
        return self.what(self, x)


def told(model, sample=IMAGES):
    recorder = Recorder()
    model_size(model, sample, recorder.run)
    return recorder.told(model)


def function(model, sample=IMAGES):
    torch.manual_seed(0)
    return told(model, sample).function


def test_what_a_residual_network_tells():
    found = told(Residual(), IMAGES).structure
    assert (found["longest_path"], found["shortest_path"], found["mean_path"]) == (4, 2, 3)
    assert found["paths"] == pytest.approx(torch.tensor(1 + 4.0).log().item())
    assert found["receptive_field"] == pytest.approx(torch.tensor(7.0).log().item())
    assert {name: found[f"share_{name}"] for name in ("conv3", "linear", "mean")} == pytest.approx(
        {"conv3": 0.6, "linear": 0.2, "mean": 0.2}
    )
    assert found["place_conv3"] < 0 < found["place_linear"]


def test_what_is_counted_is_the_same_with_and_without_recording():
    models = ((Residual(), IMAGES), (nn.TransformerEncoderLayer(6, 2, 8, batch_first=True), ROWS))
    for model, sample in (*models, (nn.GRU(6, 3, batch_first=True), ROWS)):
        recorder = Recorder()
        assert model_size(model, sample) == model_size(model, sample, recorder.run)
        assert recorder.told(model).function
        assert recorder.told(model).structure["longest_path"] > 0


def test_networks_that_compute_the_same_are_one():
    torch.manual_seed(0)
    same = [
        Residual(),
        Residual(forward=lambda x, block: block(x) + x),
        Residual(forward=lambda x, block: x + block(x) + 0.0 * block[0](x)),
        Residual(forward=lambda x, block: nn.Identity()(x).clone() + block(x).contiguous()),
        Residual(unused=2),
    ]
    assert len({told(model, IMAGES).function for model in same}) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"depth": 3},
        {"width": 12},
        {"rate": 0.2},  # is trained to something else
        {"forward": lambda x, block: x - block(x)},
        {"forward": lambda x, block: x + 2 * block(x)},
        {"forward": lambda x, block: x + block(block(x))},
        {"forward": lambda x, block: x + block[1](block[0](x)).relu_().tanh()},
    ],
)
def test_networks_that_compute_another_function_are_not(other):
    assert function(Residual()) != function(Residual(**other))


def changed_in_place(m, x):
    x = m.one(x)
    x[:, 0].mul_(2)
    return m.two(x)


def changed_elsewhere(m, x):
    x = m.one(x)
    x[:, 1].mul_(2)
    return m.two(x)


def test_what_is_shared_changed_in_place_or_drawn_is_followed():
    functions = [
        function(Does(what), ROWS)
        for what in (
            lambda m, x: m.two(m.one(x)),
            lambda m, x: m.one(m.one(x)),
            lambda m, x: m.one(x) + m.two(x),
            lambda m, x: m.one(x) + m.one(x),
            lambda m, x: m.one(x) * m.two(x),
            lambda m, x: m.one(x) + torch.rand_like(x),
            changed_in_place,
            changed_elsewhere,
        )
    ]
    assert all(functions)
    assert len(set(functions)) == len(functions)


def test_what_values_decide_is_no_function_of_the_graph():
    found = told(Does(lambda m, x: m.one(x) if x.sum() > 0 else m.two(x)), ROWS)
    assert found.structure["longest_path"] == 1
    assert not found.function


def test_a_recurrent_layer_is_one_operation():
    found = told(nn.LSTM(6, 3, 2, batch_first=True, bidirectional=True), ROWS)
    assert found.structure["share_recurrent"] == 1
    assert function(nn.GRU(6, 3, batch_first=True), ROWS) != function(nn.GRU(6, 3, bias=False), ROWS)


@pytest.mark.parametrize(
    "what",
    [
        lambda m, x: torch.sparse.mm(x[0].to_sparse(), m.one.weight),
        lambda m, x: torch.from_numpy(m.one(x).numpy()),
        lambda m, x: torch.cond(x.sum() > 0, torch.sin, torch.cos, (m.one(x),)),
        lambda m, x: {},
    ],
)
def test_a_network_that_cannot_be_followed_tells_nothing(what):
    assert told(Does(what), ROWS) == UNTOLD


def test_a_network_that_does_not_run_fails_as_it_would_by_itself():
    def raises(m, x):
        raise ValueError

    with pytest.raises(UserCodeError, match="ValueError"):
        told(Does(raises), ROWS)
