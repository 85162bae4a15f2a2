from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from paretune.profiles.errors import UnsupportedError
from paretune.search.stages.cutting.channels import kept_channels
from paretune.search.stages.cutting.prune import Cut, prunable_layers, prune_channels
from paretune.search.stages.network.model_size import model_size
from paretune.search.stages.network.predict import output_layer, predict
from torch import nn


@pytest.mark.parametrize(
    ("channels", "share", "kept"),
    [
        (64, 0.5, 32),
        (64, 0.3, 48),
        (96, 0.25, 72),
        (16, 0.25, 16),
        (16, 0.4, 8),
        (8, 0.75, 2),
        (4, 0.9, 1),
        (3, 0.5, 2),
    ],
)
def test_what_stays_is_a_multiple_of_eight_where_it_can_be_and_never_nothing(channels, share, kept):
    assert kept_channels(channels, share) == kept


def prune(model: nn.Module, share: float, sample: list[torch.Tensor]) -> None:
    prune_channels(model, share, sample, prunable_layers(model, share, sample))


class Residual(nn.Module):
    """Two coupled branches, a depthwise convolution, two heads' worth of structure in one."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.norm = nn.BatchNorm2d(32)
        self.depthwise = nn.Conv2d(32, 32, 3, padding=1, groups=32)
        self.wide = nn.Conv2d(32, 64, 1)
        self.back = nn.Conv2d(64, 32, 1)
        self.head = nn.Linear(32, 5)

    def forward(self, image):
        hidden = torch.relu(self.norm(self.stem(image)))
        hidden = hidden + self.back(torch.relu(self.wide(self.depthwise(hidden))))
        return self.head(hidden.mean(dim=(2, 3)))


def test_coupled_channels_go_together_and_the_output_stays():
    model = Residual()
    model.wide.weight.requires_grad_(False)
    prune(model, 0.5, [torch.randn(2, 3, 8, 8)])
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["wide.weight"]
    assert model.stem.weight.shape == (16, 3, 3, 3)
    assert model.norm.num_features == 16
    assert model.depthwise.weight.shape == (16, 1, 3, 3)
    assert model.wide.weight.shape == (32, 16, 1, 1)
    assert model.back.weight.shape == (16, 32, 1, 1)
    assert model.head.weight.shape == (5, 16)
    assert model(torch.randn(7, 3, 8, 8)).shape == (7, 5)


def test_the_channels_with_the_smallest_weights_go():
    model = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 3))
    with torch.no_grad():
        model[0].weight.copy_(torch.arange(1, 17).repeat(4, 1).T % 2 + 0.1)  # every other row is small
        model[2].weight.fill_(1.0)
    large = model[0].weight[model[0].weight[:, 0] > 1].detach().clone()
    prune(model, 0.5, [torch.randn(2, 4)])
    torch.testing.assert_close(model[0].weight.detach(), large)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_shapes_do_not_depend_on_weights(share):
    shapes = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = Residual()
        prune(model, share, [torch.randn(2, 3, 8, 8)])
        shapes.append([tuple(parameter.shape) for parameter in model.parameters()])
    assert shapes[0] == shapes[1]


class Attention(nn.Module):
    """Attention with sizes written in the code, which only the layers beside it can be pruned around."""

    def __init__(self, hidden):
        super().__init__()
        self.embed = nn.Embedding(20, 32)
        self.qkv = nn.Linear(32, 96)
        self.out = nn.Linear(32, 32)
        self.up, self.down = nn.Linear(32, hidden), nn.Linear(hidden, 32)
        self.head = nn.Linear(32, 3)

    def forward(self, tokens):
        x = self.embed(tokens)
        q, k, v = (p.reshape(len(x), -1, 4, 8).transpose(1, 2) for p in self.qkv(x).chunk(3, -1))
        mixed = torch.softmax(q @ k.transpose(-1, -2), -1) @ v
        x = x + self.out(mixed.transpose(1, 2).reshape(len(x), -1, 32))
        return self.head((x + self.down(torch.relu(self.up(x)))).mean(1))


def test_layers_that_would_break_the_model_keep_their_width():
    model, tokens = Attention(64), [torch.randint(0, 20, (2, 5))]
    cut = prunable_layers(model, 0.5, tokens)
    assert cut.layers == {"embed", "out", "up", "down"}
    assert cut.refused == ("qkv (Linear): shape '[2, -1, 4, 8]' is invalid for input of size 160",)
    assert model.up.out_features == 64
    prune(model, 0.5, tokens)
    assert model.qkv.weight.shape == (96, 16)
    assert model.out.weight.shape == (16, 32)
    assert model.up.weight.shape == (32, 16)
    assert model.embed.weight.shape == (20, 16)
    one, both = model(tokens[0][:1]), model(tokens[0])
    torch.testing.assert_close(one, both[:1])


def test_a_model_that_cannot_be_pruned_is_refused_with_a_reason():
    with pytest.raises(UnsupportedError, match="no convolution and no linear layer"):
        prunable_layers(nn.Sequential(nn.Flatten()), 0.5, [torch.randn(2, 4)])
    with pytest.raises(UnsupportedError, match="no layer can lose channels but the last one"):
        prunable_layers(nn.Linear(4, 4), 0.5, [torch.randn(2, 4)])
    fixed = nn.Sequential(nn.Linear(4, 16), nn.Unflatten(1, (4, 4)), nn.Flatten(), nn.Linear(16, 3))
    with pytest.raises(UnsupportedError, match=r"does not work on this model: 0 \(Linear\): "):
        prunable_layers(fixed, 0.5, [torch.randn(2, 4)])
    with pytest.raises(UnsupportedError, match="does not work on this model: 0: "):
        prune_channels(fixed, 0.5, [torch.randn(2, 4)], Cut(layers=frozenset({"0"})))


def test_the_output_layer_is_the_one_that_runs_last():
    model = nn.ModuleDict({"last": nn.Linear(8, 2), "first": nn.Linear(4, 8)})
    model.forward = lambda x: model["last"](model["first"](x))
    assert output_layer(model, [torch.randn(2, 4)]) is model["last"]


def test_size_counts_parameters_and_multiply_adds_of_one_sample():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.Flatten(), nn.Linear(4 * 64, 10))
    size = model_size(model, [torch.randn(5, 1, 8, 8)])
    assert size["parameters"] == 4 * 9 + 2560 + 10
    assert size["macs"] == pytest.approx(4 * 9 * 64 + 2560, abs=20)  # some count the bias


def test_a_student_is_pruned_fine_tuned_and_reloaded_exactly(open_models, candidate):
    models = open_models()
    wanted = candidate(width=32, sparsity="channel:0.5")
    entry = models.trainer.trained(wanted)
    dense = models.trainer.trained(replace(wanted, sparsity="dense"))
    assert dense.cached
    assert entry.provenance["base"] == dense.key
    assert entry.meta["quality"]["validation"] > 0.7
    assert entry.meta["parameters"] < dense.meta["parameters"] / 2
    model = models.trainer.load(entry, wanted)
    assert model.stem.out_channels == 16
    assert (
        models.networks.quality(model, models.loaded.splits.validation) == entry.meta["quality"]["validation"]
    )
    assert models.networks.size(wanted) == {k: entry.meta[k] for k in ("parameters", "macs")}
    untrained = models.networks.untrained(wanted)
    shapes = [p.shape for p in untrained.parameters()]
    assert shapes == [p.shape for p in model.parameters()]
    assert (
        len(
            {
                models.networks.untrained_key(c)
                for c in (wanted, replace(wanted, sparsity="dense"), candidate())
            }
        )
        == 3
    )
    assert models.networks.untrained_key(wanted) == open_models().networks.untrained_key(
        replace(wanted, recipe=None)
    )


def test_the_teacher_itself_is_pruned_from_its_trained_weights(open_models, candidate, made):
    models = open_models()
    wanted = candidate(width=None, sparsity="channel:0.5", finetune_epochs=0)
    entry = models.trainer.trained(wanted)
    assert entry.provenance["base"] == models.teacher.key
    assert made(models) == {"teacher": 1, "prune": 1}
    assert entry.meta["losses"] == []
    by_hand = models.teacher.model()
    prune(by_hand, 0.5, models.networks.sample(2))
    split = models.loaded.splits.validation
    np.testing.assert_array_equal(predict(models.trainer.load(entry, wanted), split), predict(by_hand, split))
    tuned = models.trainer.trained(candidate(width=None, sparsity="channel:0.5"))
    assert tuned.meta["quality"]["validation"] > entry.meta["quality"]["validation"]


def test_a_structure_is_the_same_in_every_process_until_something_changes(open_models, candidate, source):
    one, two = open_models().networks.untrained(candidate()), open_models().networks.untrained(candidate())
    for (name, mine), other in zip(one.state_dict().items(), two.state_dict().values(), strict=True):
        assert torch.equal(mine, other), name
    key = open_models().networks.untrained_key(candidate())
    source.write_text(source.read_text() + "\n# changed\n")
    assert open_models().networks.untrained_key(candidate()) != key
