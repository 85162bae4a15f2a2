from __future__ import annotations

import pytest
import torch
from paretune.profiles.errors import UnsupportedError
from paretune.search.stages.cutting.depth import Stack, find_stacks, kept_blocks, reduce_depth
from torch import nn


@pytest.mark.parametrize(
    ("count", "share", "kept"),
    [
        (6, 0.5, (0, 3, 5)),
        (6, 1.0, (0, 1, 2, 3, 4, 5)),
        (4, 0.5, (0, 3)),
        (4, 0.1, (0,)),
        (2, 0.5, (0,)),
        (12, 0.25, (0, 6, 11)),
    ],
)
def test_blocks_are_kept_evenly_with_the_first_and_the_last(count, share, kept):
    assert kept_blocks(count, share) == kept


class Block(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.inner = nn.Linear(width, width)

    def forward(self, x):
        return x + torch.tanh(self.inner(x))


class Stacked(nn.Module):
    """A stack in an nn.ModuleList whose number of blocks stands in an attribute too."""

    def __init__(self, depth):
        super().__init__()
        self.stem, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
        self.depth = depth
        self.blocks = nn.ModuleList(Block() for _ in range(depth))

    def forward(self, x):
        x = self.stem(x)
        for index in range(self.depth):
            x = self.blocks[index](x)
        return self.head(x)


def test_a_stack_loses_blocks_between_its_first_and_its_last():
    model, sample = Stacked(6), [torch.randn(2, 4)]
    blocks = list(model.blocks)
    assert reduce_depth(model, 0.5, sample) == (Stack(path="blocks", start=0, count=6),)
    assert list(model.blocks) == [blocks[0], blocks[3], blocks[5]]
    assert model.depth == 3
    assert model(*sample).shape == (2, 3)


def test_stacks_of_a_network_by_stages_are_cut_one_by_one():
    def stage(wide):
        return nn.Sequential(nn.Linear(wide // 2, wide), Block(wide), Block(wide), Block(wide), Block(wide))

    model, sample = nn.Sequential(stage(8), stage(16), nn.Linear(16, 2)), [torch.randn(2, 4)]
    assert find_stacks(model, sample) == (
        Stack(path="0", start=1, count=4),
        Stack(path="1", start=1, count=4),
    )
    reduce_depth(model, 0.25, sample)
    assert [len(stage) for stage in (model[0], model[1])] == [2, 2]


def test_an_encoder_of_torch_knows_its_new_number_of_layers():
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    model = nn.Sequential(nn.TransformerEncoder(layer, 4), nn.Flatten(), nn.Linear(24, 2))
    reduce_depth(model, 0.5, [torch.randn(2, 3, 8)])
    assert len(model[0].layers) == model[0].num_layers == 2


def test_equal_branches_beside_each_other_are_no_stack():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.branches = nn.ModuleList(nn.Linear(4, 4) for _ in range(3))

        def forward(self, x):
            return torch.cat([branch(x) for branch in self.branches], 1)

    model, sample = Branches(), [torch.randn(2, 4)]
    assert find_stacks(model, sample) == ()
    with pytest.raises(UnsupportedError, match=r"depth=0\.5: Branches has no stack of equal blocks"):
        reduce_depth(model, 0.5, sample)
    assert reduce_depth(model, 1, sample) == ()


def test_blocks_that_the_model_needs_are_named():
    class Counted(Stacked):
        def forward(self, x):
            x = self.stem(x)
            for index in range(4):
                x = self.blocks[index](x)
            return self.head(x)

    with pytest.raises(UnsupportedError, match=r"fewer blocks in blocks\[0:4\]: index 2 is out of range"):
        reduce_depth(Counted(4), 0.5, [torch.randn(2, 4)])


@pytest.mark.slow
def test_a_model_of_transformers_keeps_its_own_configuration():
    from transformers import BertConfig, BertModel  # as anyone imports it: nothing is prepared for it

    config = BertConfig(
        vocab_size=20, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, intermediate_size=32
    )

    class Classifier(nn.Module):
        def __init__(self):
            super().__init__()
            self.bert, self.head = BertModel(config), nn.Linear(16, 3)

        def forward(self, tokens):
            return self.head(self.bert(tokens).last_hidden_state[:, 0])

    model = Classifier()
    reduce_depth(model, 0.5, [torch.randint(0, 20, (2, 5))])
    assert len(model.bert.encoder.layer) == model.bert.config.num_hidden_layers == 2
    assert model.bert.config is model.bert.encoder.config
    assert config.num_hidden_layers == 4
