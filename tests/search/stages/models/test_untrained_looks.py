"""Looks at networks before their training: kept in the store, with the weights that these start from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from paretune.search.stages.models.torch_models import TorchModels
from torch import nn

ALL = {"jacov", "nwot", "synflow", "zen"}


def looked_at(models: TorchModels, candidate) -> tuple[dict[str, float], list[bool]]:
    met = []
    found = models.looks.at(candidate.hardware_class(), lambda entry: met.append(entry.cached))
    return found, met


def test_a_look_is_taken_once_and_found_by_all_that_need_the_same(open_models, candidate):
    first, met = looked_at(open_models(), candidate(16))
    assert met == [False]
    assert set(first) == ALL
    again, met = looked_at(open_models(), candidate(16, learning_rate=1e-3))
    assert met == [True]
    assert again == first
    pruned, met = looked_at(open_models(), candidate(16, "channel:0.5"))
    assert met == [False]
    assert pruned["nwot"] < first["nwot"]


def test_students_that_are_cut_out_are_looked_at_with_the_weights_of_the_trained_teacher(
    open_models, candidate
):
    models = open_models(student=None)
    models.prepare_students([])
    student = candidate(None)
    pruned, met = looked_at(models, candidate(None, "channel:0.5"))
    whole, _ = looked_at(models, student)
    fresh, _ = looked_at(open_models(), student)  # beside students of their own builder, as untrained as they
    assert met == [False]
    assert set(whole) == set(pruned) == ALL
    assert whole["jacov"] != fresh["jacov"]


def test_code_that_raises_there_gives_none_and_is_asked_again(open_models, candidate):
    class Fickle(nn.Module):
        """Takes any number of images but one."""

        def __init__(self, width: int) -> None:
            super().__init__()
            self.head = nn.Linear(64, 10)

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            if len(image) == models.looks.batch:
                raise RuntimeError("no such batch, please")
            return self.head(image.flatten(1))

    models = open_models(student=Fickle)
    assert looked_at(models, candidate(16)) == ({}, [])


def test_nothing_is_computed_where_a_training_costs_no_more_than_looks(open_models, candidate):
    short, long = open_models(), open_models(fallback=candidate(16, epochs=200).recipe)
    for models in (short, long):
        models.prepare_students([(("width", width),) for width in (8, 16)])
    plain = candidate(16).hardware_class()
    met = []
    assert not short.looked_at(plain, met.append).proxies
    assert not met
    assert set(long.looked_at(plain, met.append).proxies) == ALL


@pytest.mark.parametrize(("samples", "batch"), [(600, 31), (20, 17), (5, 0)])
def test_batches_come_from_all_over_the_training_split(open_models, samples, batch):
    looks = open_models().looks
    split = looks.teacher.loaded.splits.train.head(samples)
    object.__setattr__(looks.teacher.loaded.splits, "train", split)
    assert looks.batch == batch
    if batch:
        images = looks._inputs()["image"]
        assert np.array_equal(images[[0, -1]], split.inputs["image"][[0, -1]])
