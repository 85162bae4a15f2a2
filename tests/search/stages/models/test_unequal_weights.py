"""Structures that are measured have no two weights alike, as trained ones: equal ones are stored once."""

import copy

import torch
from paretune.search.stages.models.export import export_onnx
from paretune.search.stages.network.reproducible import make_unequal, reproducible
from torch import nn


class Residual(nn.Module):
    """Two branches that start as nothing, as many nets do, and copies of each other."""

    def __init__(self):
        super().__init__()
        branch = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8))
        nn.init.zeros_(branch[1].weight)
        self.one, self.two = branch, copy.deepcopy(branch)

    def forward(self, image):
        image = image + self.one(image)
        return image + self.two(image)


def test_an_untrained_model_takes_the_room_of_a_trained_one(tmp_path):
    model = Residual().eval()
    sample = {"image": torch.randn(2, 8, 6, 6).numpy()}
    before = export_onnx(model, sample, tmp_path).path.stat().st_size
    with reproducible(0):
        make_unequal(model)
    after = export_onnx(model, sample, tmp_path).path.stat().st_size
    weights = 4 * 8 * 8 * 9
    assert before < 2 * weights < after


def test_it_is_the_same_each_time():
    models = [Residual(), Residual()]
    models[1].load_state_dict(models[0].state_dict())
    for model in models:
        with reproducible(0):
            make_unequal(model)
    one, other = (model.state_dict() for model in models)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_tied_weights_stay_tied():
    model = nn.ModuleDict({"embed": nn.Embedding(5, 4), "out": nn.Linear(4, 5, bias=False)})
    model["out"].weight = model["embed"].weight
    make_unequal(model)
    assert model["out"].weight is model["embed"].weight
