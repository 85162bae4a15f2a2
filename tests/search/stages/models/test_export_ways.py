"""Models that go one way or another, contract many factors at once, or give back what they were given."""

import numpy as np
import pytest
import torch
from paretune.profiles.errors import UnsupportedError
from paretune.search.stages.models.export import export_onnx
from torch import nn

SAMPLE = {"x": np.random.default_rng(0).normal(size=(6, 4, 8)).astype(np.float32)}


class Deciding(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.other = nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, x):
        if x.mean() > 0:
            return self.one(x)
        return self.other(x)


class Contracting(nn.Module):
    """torch orders three factors by their sizes, the batch among them."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(2, 4, 5))

    def forward(self, x):
        heads = x.reshape(-1, 4, 2, 4).transpose(1, 2)
        return torch.einsum("bhtk,bhsk,hkd->btd", heads, heads, self.weight)


class Passing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(8, 3)

    def forward(self, x):
        return {"y": self.layer(x), "x": x}


def test_a_way_that_the_values_decide_is_refused_with_its_line(tmp_path):
    """A trace would hold the way of the sample alone, and agree with PyTorch on it."""
    with pytest.raises(UnsupportedError, match=r"test_export_ways\.py, line 19\).*torch\.where"):
        export_onnx(Deciding(), SAMPLE, tmp_path)


def test_a_product_of_three_factors_keeps_its_batch_free(tmp_path):
    assert export_onnx(Contracting(), SAMPLE, tmp_path).path.is_file()  # it compares batches of 6 and of 1


def test_an_output_by_the_name_of_an_input_is_refused(tmp_path):
    with pytest.raises(UnsupportedError, match="the output 'x' has the name of an input"):
        export_onnx(Passing(), SAMPLE, tmp_path)
