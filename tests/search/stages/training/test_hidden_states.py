from __future__ import annotations

import numpy as np
import pytest
import torch
from paretune.profiles.errors import UserError
from paretune.search.stages.network.reproducible import state_digest
from paretune.search.stages.training import hidden_states as hidden_module
from paretune.search.stages.training.hidden_states import (
    LAST,
    HiddenMatching,
    HiddenTargets,
    captured,
    check_path,
    layer_pairs,
    read_states,
    teacher_states,
    write_states,
)
from torch import nn


class Pictures(nn.Module):
    """Maps of `width` channels, and a classifier of their means; `stride` halves the maps."""

    def __init__(self, width: int, stride: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1, stride=stride)
        self.act = nn.ReLU()
        self.head = nn.Linear(width, 3)

    def forward(self, image):
        return self.head(self.act(self.stem(image)).mean(dim=(2, 3)))


IMAGES = {"image": np.random.default_rng(0).normal(size=(6, 1, 4, 4)).astype(np.float32)}
SAMPLE = [torch.from_numpy(IMAGES["image"][:2])]


def matching(student: nn.Module, pairs, teacher: nn.Module) -> HiddenMatching:
    states = teacher_states(teacher, tuple(theirs for _, theirs in pairs), IMAGES)
    tensors = {layer: torch.from_numpy(state) for layer, state in states.items()}
    return HiddenMatching(student, HiddenTargets(pairs=pairs, states=tensors), SAMPLE)


def test_the_last_hidden_layer_is_the_input_of_the_output_layer():
    teacher = Pictures(5)
    states = teacher_states(teacher, ("", "stem"), IMAGES)
    with torch.no_grad():
        maps = teacher.stem(torch.from_numpy(IMAGES["image"]))
    np.testing.assert_allclose(states["stem"], maps.movedim(1, -1).numpy(), rtol=1e-5)
    np.testing.assert_allclose(states[""], torch.relu(maps).mean(dim=(2, 3)).numpy(), rtol=1e-4, atol=1e-6)


def test_states_are_read_as_they_were_written(tmp_path):
    states = teacher_states(Pictures(5), ("", "stem", "act"), IMAGES)
    layers = write_states(states, tmp_path)
    found = read_states(tmp_path, layers)
    assert set(found) == {"", "stem", "act"}
    for layer, state in states.items():
        np.testing.assert_array_equal(found[layer], state)


def test_states_too_large_to_keep_are_kept_as_means(monkeypatch):
    teacher = Pictures(5)
    whole = teacher_states(teacher, ("stem",), IMAGES)["stem"]
    monkeypatch.setattr(hidden_module, "LARGEST_BYTES", 1000)
    mean = teacher_states(teacher, ("stem",), IMAGES)["stem"]
    np.testing.assert_allclose(mean, whole.mean(axis=(1, 2)), rtol=1e-4, atol=1e-6)


def test_equal_models_are_at_no_distance_and_others_are():
    teacher = Pictures(5)
    same = matching(teacher, layer_pairs({"stem": "stem"}), teacher)
    teacher(torch.from_numpy(IMAGES["image"]))
    assert same.distance(torch.arange(6)).item() == pytest.approx(0, abs=1e-6)
    assert list(same.maps.parameters()) == []
    assert same.distance(torch.tensor([1, 0, 2, 3, 4, 5])) > 0.01
    same.close()
    other = matching(nn_other := Pictures(5), LAST, teacher)
    nn_other(torch.from_numpy(IMAGES["image"]))
    assert other.distance(torch.arange(6)) > 0.1


def test_widths_that_differ_are_mapped_and_the_map_learns():
    student = Pictures(3, stride=2)
    pairs = layer_pairs({"act": "act"})
    found = matching(student, pairs, Pictures(8))
    assert [tuple(p.shape) for p in found.maps.parameters()] == [(8, 3), (8,)] * 2
    rows = torch.tensor([4, 0])
    student(torch.from_numpy(IMAGES["image"][rows.numpy()]))
    found.distance(rows).backward()
    for parameter in (*found.maps.parameters(), student.stem.weight):
        assert parameter.grad.abs().sum() > 0
    assert not any(name.startswith("maps") for name, _ in student.named_parameters())


def test_the_distance_is_a_share_of_the_teachers_variance():
    teacher, student = Pictures(5), Pictures(5)
    larger = Pictures(5)
    larger.load_state_dict({k: v * 7 if "stem" in k else v for k, v in teacher.state_dict().items()})
    scaled = Pictures(5)
    scaled.load_state_dict({k: v * 7 if "stem" in k else v for k, v in student.state_dict().items()})
    distances = []
    for ours, theirs in ((student, teacher), (scaled, larger)):
        found = matching(ours, LAST, theirs)
        ours(torch.from_numpy(IMAGES["image"]))
        distances.append(found.distance(torch.arange(6)).item())
    assert distances[0] == pytest.approx(distances[1], rel=1e-4)


def test_hooks_come_off_when_the_block_ends():
    model = Pictures(5)
    with captured(model, ("", "act"), SAMPLE) as capture:
        model(SAMPLE[0])
        seen = dict(capture.states)
        assert set(seen) == {"", "act"}
    model(torch.zeros(2, 1, 4, 4))
    assert capture.states[""] is seen[""]
    assert not model.act._forward_hooks


@pytest.mark.parametrize(
    ("layer", "shape", "channels"),
    [
        (nn.Conv1d(4, 6, 1), (2, 4, 9), 6),
        (nn.Linear(4, 6), (2, 9, 4), 6),
        (nn.Linear(4, 6), (2, 9, 8, 4), 6),
        (nn.LayerNorm(4), (2, 9, 4), 4),
        (nn.MaxPool2d(2), (2, 4, 8, 8), 4),
        (nn.Sequential(nn.Conv2d(4, 6, 1), nn.ReLU()), (2, 4, 8, 8), 6),
        (nn.GRU(4, 6, batch_first=True), (2, 9, 4), 6),
    ],
)
def test_channels_are_found_in_convolutions_and_sequences(layer, shape, channels):
    model = nn.Sequential(layer)
    with captured(model, ("0",), []) as capture:
        model(torch.zeros(shape))
    assert capture.states["0"].shape[-1] == channels


def test_a_module_that_is_not_there_is_named_with_the_nearest():
    with pytest.raises(UserError, match=r"(?s)the student has no module 'stm'.*mean 'stem' or 'act'\?"):
        check_path("stm", Pictures(5), "the student")


HIDDEN = "workload = __import__('dataclasses').replace(workload, hidden={hidden})\n"


def hidden_of(source, hidden: dict[str, str]) -> None:
    source.write_text(source.read_text() + HIDDEN.format(hidden=hidden))


@pytest.mark.slow
def test_wrong_paths_are_found_before_anything_is_trained(empty_store, source, open_models, made):
    hidden_of(source, {"stem": "bodi"})
    models = open_models()
    with pytest.raises(UserError, match=r"(?s)the teacher has no module 'bodi'.*'body'"):
        models.prepare_students([(("width", 8),)])
    assert made(models) == {}


@pytest.mark.slow
def test_a_student_that_matches_hidden_states_is_trained_once_and_resumed(source, open_models, candidate):
    hidden_of(source, {"stem": "body"})
    models, wanted = open_models(), candidate(hidden_weight=1.0)
    seen = []
    models.prepare_students([wanted.student], wanted.recipe)
    entry = models.trainer.trained(wanted, note=seen.append)
    assert [found.stage for found in seen] == ["teacher", "soft-targets", "hidden-states", "distill"]
    assert seen[2].meta["layers"] == ["", "body"]
    assert entry.meta["quality"]["validation"] > 0.85
    model = models.trainer.load(entry, wanted)  # without the maps
    assert state_digest(model) != state_digest(
        models.trainer.load(models.trainer.trained(candidate()), candidate())
    )
    assert models.needed.key(candidate()) != entry.key
    assert models.needed.key(candidate(hidden_weight=0.5)) != entry.key
    assert open_models().trainer.trained(wanted).cached


def test_layers_that_are_compared_are_in_the_key_only_where_they_are(open_models, candidate):
    keys = []
    for weight in (0.0, 1.0):
        for hidden in (None, {"stem": "stem"}, {"stem": "body"}):
            models = open_models(hidden=hidden)
            keys.append(models.needed.key(candidate(hidden_weight=weight)))
    assert len(set(keys[:3])) == 1
    assert len(set(keys)) == 4


def test_the_teachers_own_structure_is_compared_with_itself(source, open_models, candidate):
    hidden_of(source, {"stem": "body", "head": "head"})
    models = open_models()
    assert models.lessons.pairs((("width", 8),)) == (("", ""), ("head", "head"), ("stem", "body"))
    assert models.lessons.pairs(()) == (("", ""), ("body", "body"), ("head", "head"))
