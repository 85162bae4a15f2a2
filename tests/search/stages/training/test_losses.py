from __future__ import annotations

import numpy as np
import pytest
import torch
from paretune.profiles.errors import UserError
from paretune.search.stages.training.losses import others_loss, training_loss
from paretune.search.workload.task import Task
from torch import Tensor
from torch.nn import functional as F

MIXED = {"temperature": 3.0, "distill_weight": 0.25}


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))


def test_several_labels_are_binary_cross_entropies():
    student, teacher = drawn(5, 3), drawn(5, 3, seed=1)
    labels = (drawn(5, 3, seed=2) > 0).long()
    s, p, q = (student.numpy(), *(1 / (1 + np.exp(-x.numpy() / 3)) for x in (teacher, student)))
    soft = -(p * np.log(q) + (1 - p) * np.log(1 - q)).mean()
    one = 1 / (1 + np.exp(-s))
    hard = -(labels.numpy() * np.log(one) + (1 - labels.numpy()) * np.log(1 - one)).mean()
    got = training_loss("multi-label", student, labels, teacher, **MIXED)
    assert got.item() == pytest.approx(0.25 * 9 * soft + 0.75 * hard)


def test_tokens_are_classes_and_padding_teaches_nothing():
    student, teacher = drawn(4, 3, 5), drawn(4, 3, 5, seed=1)
    labels = torch.tensor([[0, 1, -100], [4, -100, -100], [-100] * 3, [2, 3, 1]])
    rows = labels >= 0
    expected = training_loss("classification", student[rows], labels[rows], teacher[rows], **MIXED)
    assert training_loss("token-classification", student, labels, teacher, **MIXED) == expected
    teacher[~rows] = 1e6
    assert training_loss("token-classification", student, labels, teacher, **MIXED) == expected
    nothing = student[2:3].clone().requires_grad_()
    loss = training_loss("token-classification", nothing, labels[2:3], teacher[2:3], **MIXED)
    loss.backward()
    assert loss == 0
    assert nothing.grad.abs().sum() == 0


@pytest.mark.parametrize("task", ["classification", "token-classification", "regression", "multi-label"])
def test_without_a_teacher_only_the_labels_count(task):
    tokens = task == "token-classification"
    outputs = drawn(4, 3, 2) if tokens else drawn(4, 3)
    labels = {
        "classification": torch.tensor([0, 1, 2, 0]),
        "token-classification": torch.tensor([[0, 1, -1]] * 4),
        "regression": drawn(4, 3, seed=2),
        "multi-label": torch.tensor([[0, 1, 1]] * 4),
    }[task]
    alone = training_loss(task, outputs, labels, None, temperature=3.0, distill_weight=0.0)
    teacher = torch.full_like(outputs, torch.nan)
    assert training_loss(task, outputs, labels, teacher, temperature=1.0, distill_weight=0.0) == alone
    assert alone > 0


def test_a_loss_of_the_users_own_gives_one_number():
    outputs = drawn(4, 3).requires_grad_()

    def own(outputs, labels, teacher):
        return ((outputs - teacher) ** 2).mean() + labels.sum()

    got = training_loss(own, outputs, torch.ones(4), torch.zeros(4, 3), **MIXED)
    assert got.item() == pytest.approx(float((outputs**2).mean()) + 4)
    with pytest.raises(UserError, match=r"(?s)did not return one number.*float64\[4, 3\]"):
        training_loss(lambda *all: outputs, outputs, outputs, None, **MIXED)
    with pytest.raises(UserError, match="found: float"):
        training_loss(lambda *all: 1.0, outputs, outputs, None, **MIXED)
    with pytest.raises(UserError, match="does not depend on the outputs"):
        training_loss(lambda *all: torch.ones(()), outputs, outputs, None, **MIXED)


OWN = """
def own(outputs, labels, teacher):
    return nn.functional.cross_entropy(outputs, labels){more}

workload = Workload(name="tiny", splits=splits, teacher=teacher, train_teacher=train_teacher, loss=own,
                    student=lambda width: Net(width))
"""


@pytest.mark.slow
def test_the_key_of_a_training_changes_with_the_loss(source, open_models, candidate):
    text = source.read_text()
    keys = {open_models().needed.key(candidate())}
    for more in ("", " * 2"):
        source.write_text(text + OWN.format(more=more))
        keys.add(open_models().needed.key(candidate()))
    source.write_text((text + OWN.format(more="")).replace("loss=own", "loss='classification'"))
    keys.add(open_models().needed.key(candidate()))
    assert len(keys) == 4


def one_loss(outputs, labels, teacher):
    return outputs.sum()


def other_loss(outputs, labels, teacher):
    return outputs.mean()


def test_the_loss_is_in_the_key_whatever_it_comes_from(open_models, candidate):
    keys = set()
    for loss in (None, "classification", F.cross_entropy, one_loss, other_loss):
        keys.add(open_models(loss=loss).needed.key(candidate()))
    assert len(keys) == 5


@pytest.mark.slow
def test_a_student_learns_by_a_loss_of_the_users_own(source, open_models, candidate):
    source.write_text(source.read_text() + OWN.format(more=" + (outputs - teacher).square().mean()"))
    models = open_models()
    assert models.trainer.trained(candidate()).meta["quality"]["validation"] > 0.7


@pytest.mark.slow
def test_what_the_users_loss_raises_names_their_line(source, open_models, candidate):
    source.write_text(source.read_text() + OWN.format(more=" + undefined"))
    with pytest.raises(
        UserError, match=r"tiny_digits\.py, line \d+: `loss` of workload tiny raised NameError"
    ):
        open_models().trainer.trained(candidate(epochs=1))


@pytest.mark.parametrize(("axis", "shape"), [(1, (2, 4, 3, 5)), (-1, (2, 3, 5, 4))])
def test_pixels_are_classes_and_those_without_a_label_teach_nothing(axis, shape):
    task = Task(name="segmentation", because="", class_axis=axis)
    student, teacher = drawn(*shape), drawn(*shape, seed=1)
    labels = torch.from_numpy(np.random.default_rng(2).integers(-1, 4, (2, 3, 5)))
    rows = (labels >= 0).reshape(-1)
    flat = [x.movedim(axis, -1).reshape(-1, 4)[rows] for x in (student, teacher)]
    expected = training_loss("classification", flat[0], labels.reshape(-1)[rows], flat[1], **MIXED)
    assert training_loss(task, student, labels, teacher, **MIXED).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("name", ["classification", "multi-label"])
def test_probabilities_are_not_made_probabilities_twice(name):
    student, teacher = drawn(6, 3), drawn(6, 3, seed=1)
    labels = (
        torch.tensor([0, 1, 2, 0, 1, 2]) if name == "classification" else (drawn(6, 3, seed=2) > 0).long()
    )
    shares = torch.sigmoid if name == "multi-label" else (lambda x: x.softmax(dim=1))
    task = Task(name=name, because="", probabilities=True)
    found = training_loss(task, shares(student), labels, shares(teacher), **MIXED)
    wanted = training_loss(name, student, labels, teacher, **MIXED)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)


def test_numbers_of_any_type_and_in_one_column_are_compared_one_by_one():
    outputs, labels = drawn(5, 1), torch.tensor([1, 4, 2, 9, 3])
    wanted = ((outputs[:, 0] - labels) ** 2).mean()
    found = training_loss("regression", outputs, labels, None, temperature=1.0, distill_weight=0.0)
    assert found.item() == pytest.approx(wanted.item())


def test_embeddings_and_further_outputs_learn_from_the_teachers_own():
    teacher = drawn(6, 4)
    same = training_loss("embedding", teacher, torch.zeros(6), teacher, **MIXED)
    assert same.item() == pytest.approx(0, abs=1e-6)
    assert training_loss("embedding", -teacher, torch.zeros(6), teacher, **MIXED).item() == pytest.approx(6)
    primary = drawn(6, 3, seed=1)
    boxes = {"box": teacher}
    assert others_loss("classification", primary, boxes, boxes, 3.0).item() == 0
    twice = others_loss("classification", primary, {"box": 2 * teacher}, boxes, 3.0)
    assert twice.item() == pytest.approx(1), "whatever the unit"
    logits = {"second": drawn(6, 3, seed=3)}
    found = others_loss("classification", primary, {"second": primary}, logits, 3.0)
    soft = F.kl_div(
        F.log_softmax(primary / 3, 1), F.log_softmax(logits["second"] / 3, 1), reduction="batchmean",
        log_target=True,
    )  # fmt: skip
    assert found.item() == pytest.approx(9 * soft.item())
