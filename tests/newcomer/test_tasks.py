"""Whole studies of other tasks than classes, each compared with numbers computed by hand from artifacts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

pytestmark = pytest.mark.slow

REGRESSION = """
def split(rng, count):
    x = rng.normal(size=(count, 6)).astype(np.float32)
    return Split(inputs={"x": x}, labels=(np.sin(x[:, 0]) + x[:, 1] * x[:, 2]).astype(np.float32))


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        inner = nn.Linear(6, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU()
        self.body = nn.Sequential(*inner, nn.Linear(width, 1))

    def forward(self, x):
        return self.body(x)


workload = Workload(name="numbers", splits=splits, teacher=lambda: Net(96), student=lambda width: Net(width),
                    train_teacher=lambda m, s: fit(m, s, lambda o, y: nn.functional.mse_loss(o[:, 0], y)),
                    metric="rmse")
"""


def test_regression(newcomer):
    done = newcomer(REGRESSION)
    assert done.record.teacher["task"] == "regression"
    assert any("regression" in line for line in done.lines)
    labels = done.splits.validation.labels
    for trial in done.record.trials:
        outputs = done.by_hand(trial)["output"][:, 0]
        assert done.quality(trial) == pytest.approx(np.sqrt(np.mean((outputs - labels) ** 2)), rel=1e-5)
    assert done.quality(done.students[0]) < 0.7 * labels.std()
    for finalist in done.record.finalists:
        assert not {"agreement", "worst_class_drop", "ece_rise"} & set(finalist.side_effects)


MULTI_LABEL = """
WEIGHTS = np.random.default_rng(9).normal(size=(12, 5))


def split(rng, count):
    x = rng.normal(size=(count, 12)).astype(np.float32)
    noisy = x @ WEIGHTS - 3 + rng.normal(size=(count, 5)) * 0.5
    return Split(inputs={"x": x}, labels=(noisy > 0).astype(LABELS))


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(12, width), nn.ReLU(), nn.Linear(width, 5))

    def forward(self, x):
        return self.body(x)


def loss(outputs, labels):
    return nn.functional.binary_cross_entropy_with_logits(outputs, labels.float())


def build(width):
    torch.manual_seed(0)
    return Net(width)


workload = Workload(name="labels", splits=splits, teacher=lambda: build(96), student=build,
                    train_teacher=lambda m, s: fit(m, s, loss), metric=MINE)
"""
OWN_AUC = """Metric(name="my_auc", function=lambda o, y: float(np.mean(
    [(o[y[:, c] > 0, c][:, None] > o[y[:, c] == 0, c][None]).mean() for c in range(5)])))"""


@pytest.mark.parametrize(("kind", "metric"), [("np.float32", '"auc"'), ("np.int64", OWN_AUC)])
def test_several_labels_of_any_type_train_as_well_as_by_hand(newcomer, kind, metric):
    done = newcomer(MULTI_LABEL.replace("LABELS", kind).replace("MINE", metric))
    assert done.record.teacher["task"] == "multi-label"
    assert done.record.teacher["task_because"]
    labels = done.splits.validation.labels
    (student, *_) = done.students
    mine = float(np.mean([_area(done.by_hand(student)["output"][:, c], labels[:, c]) for c in range(5)]))
    assert done.quality(student) == pytest.approx(mine, abs=1e-6)
    assert done.quality(student) > _trained_by_hand(done) - 0.02
    for finalist in done.record.finalists:
        assert 0.9 < finalist.side_effects["agreement"].value <= 1
        assert "ece_rise" not in finalist.side_effects


def _area(scores, flags):
    pairs = scores[flags > 0][:, None] > scores[flags == 0][None]
    return pairs.mean()


def _trained_by_hand(done):
    """The same student with BCEWithLogitsLoss, without a teacher."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(12, 24), nn.ReLU(), nn.Linear(24, 5))
    x, y = torch.from_numpy(done.splits.train.inputs["x"]), torch.from_numpy(done.splits.train.labels).float()
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    for _ in range(25):
        for rows in torch.randperm(len(y)).split(32):
            optimizer.zero_grad()
            nn.functional.binary_cross_entropy_with_logits(net(x[rows]), y[rows]).backward()
            optimizer.step()
    split = done.splits.validation
    with torch.no_grad():
        outputs = net(torch.from_numpy(split.inputs["x"])).numpy()
    return float(np.mean([_area(outputs[:, c], split.labels[:, c]) for c in range(5)]))


SEGMENTATION = """
def split(rng, count):
    x = rng.normal(size=(count, 1, 8, 8)).astype(np.float32)
    smooth = x[:, 0] + np.roll(x[:, 0], 1, 1) + np.roll(x[:, 0], 1, 2)
    labels = np.digitize(smooth, [-1.0, 1.0]).astype(np.int64)
    labels[:, 0], labels[:, :, 0] = -1, -1  # there the neighbours are missing
    return Split(inputs={"image": x}, labels=labels)


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, 3, 1))

    def forward(self, image):
        return self.body(image)


def loss(outputs, labels):
    return nn.functional.cross_entropy(outputs, labels, ignore_index=-1)


workload = Workload(name="pixels", splits=splits, teacher=lambda: Net(48), student=lambda width: Net(width),
                    train_teacher=lambda m, s: fit(m, s, loss, epochs=15, lr=1e-2), metric="miou")
"""


def test_segmentation(newcomer):
    done = newcomer(SEGMENTATION)
    assert done.record.teacher["task"] == "segmentation"
    labels = done.splits.validation.labels
    for trial in done.record.trials:
        decided = done.by_hand(trial)["output"].argmax(axis=1)
        there = labels >= 0
        pairs = [((decided == c) & there, labels == c) for c in range(3)]
        mine = np.mean([(one & other).sum() / (one | other).sum() for one, other in pairs])
        assert done.quality(trial) == pytest.approx(mine, abs=1e-6)
    assert done.quality(done.students[0]) > 0.7
    for finalist in done.record.finalists:
        assert 0.8 < finalist.side_effects["agreement"].value <= 1


TWO_AND_TWO = """
def split(rng, count):
    left, right = (rng.normal(size=(count, 4)).astype(np.float32) for _ in range(2))
    return Split(inputs={"left": left, "right": right}, labels=(left.sum(1) > right.sum(1)).astype(np.int64))


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, width), nn.ReLU())
        self.kind, self.gap = nn.Linear(width, 2), nn.Linear(width, 1)

    def forward(self, left, right):
        hidden = self.body(torch.cat([left, right], 1))
        return RETURNED


def train(model, splits):
    def loss(outputs, labels):
        first, second = outputs.values() if isinstance(outputs, dict) else outputs
        kind, gap = (first, second) if first.shape[1] == 2 else (second, first)
        apart = gap[:, 0] - 3.0 * (2 * labels - 1)
        return nn.functional.cross_entropy(kind, labels) + apart.square().mean()

    fit(model, splits, loss)


workload = Workload(name="two", splits=splits, teacher=lambda: Net(64), student=lambda width: Net(width),
                    train_teacher=train, EXTRA)
"""
BOTH = """metric=Metric(name="both", function=lambda o, y: float(
    ((o["kind"].argmax(1) == y) & ((o["gap"][:, 0] > 0) == y)).mean())), outputs=("kind", "gap")"""


@pytest.mark.parametrize(
    ("returned", "extra", "names", "backends"),
    [
        ("self.gap(hidden), self.kind(hidden)", 'metric="accuracy"', ("output_0", "output_1"), ["ort"]),
        ("self.kind(hidden), self.gap(hidden)", BOTH, ("kind", "gap"), ["ort", "tflite"]),
    ],
)
def test_two_inputs_and_two_outputs(newcomer, returned, extra, names, backends):
    text = TWO_AND_TWO.replace("RETURNED", returned).replace("EXTRA", extra)
    space = {"student": {"width": [24]}, "precision": ["fp32"], "backend": backends, "sparsity": ["dense"]}
    done = newcomer(text, space=space, budget={"trials": 4})
    assert tuple(done.record.teacher["outputs"]) == names
    assert done.record.teacher["task"] == "classification"
    labels = done.splits.validation.labels
    teacher = next(t for t in done.record.trials if not t.evaluation.candidate.student)
    wanted = done.by_hand(teacher)
    for trial in done.students:
        if trial.evaluation.candidate.backend != "ort":
            continue
        outputs = done.by_hand(trial)
        assert set(outputs) == set(names)
        kind, gap = (outputs[n] for n in (names if names[0] == "kind" else reversed(names)))
        right = kind.argmax(1) == labels
        mine = right if len(backends) == 1 else right & ((gap[:, 0] > 0) == labels)
        assert done.quality(trial) == pytest.approx(mine.mean(), abs=1e-6)
        for name in names:  # each learned from the teacher's own
            apart = np.corrcoef(outputs[name].ravel(), wanted[name].ravel())[0, 1]
            assert apart > 0.9, name
    assert all(done.quality(trial) > 0.85 for trial in done.students)
    assert {t.evaluation.candidate.backend for t in done.record.trials} == set(backends)


EMBEDDING = """
CENTRES = np.random.default_rng(5).normal(size=(4, 10))


def split(rng, count):
    labels = rng.integers(0, 4, count)
    x = (CENTRES[labels] + rng.normal(size=(count, 10))).astype(np.float32)
    return Split(inputs={"x": x}, labels=labels)


class Net(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(10, width), nn.ReLU(), nn.Linear(width, 32))

    def forward(self, x):
        return nn.functional.normalize(self.body(x), dim=1)


def train(model, splits):
    def loss(outputs, labels):
        same = (labels[:, None] == labels[None]).float()
        return (outputs @ outputs.T - same).square().mean()

    fit(model, splits, loss)


def nearest(outputs, labels):
    alike = outputs @ outputs.T
    np.fill_diagonal(alike, -2)
    return float((labels[alike.argmax(1)] == labels).mean())


workload = Workload(name="vectors", splits=splits, teacher=lambda: Net(96), student=lambda width: Net(width),
                    train_teacher=train, metric=Metric(name="nearest", function=nearest))
"""


def test_embeddings(newcomer):
    done = newcomer(EMBEDDING)
    assert done.record.teacher["task"] == "embedding"
    split = done.splits.validation
    for trial in done.record.trials:
        alike = (lambda o: o @ o.T)(done.by_hand(trial)["output"])
        np.fill_diagonal(alike, -2)
        mine = (split.labels[alike.argmax(1)] == split.labels).mean()
        assert done.quality(trial) == pytest.approx(mine, abs=1e-6)
    (student, *_) = done.students
    teacher = next(t for t in done.record.trials if not t.evaluation.candidate.student)
    ours, theirs = (done.by_hand(trial, "test")["output"] for trial in (student, teacher))
    (finalist,) = (f for f in done.record.finalists if f.number == student.number)
    cosine = (ours * theirs).sum(1) / np.linalg.norm(ours, axis=1) / np.linalg.norm(theirs, axis=1)
    assert finalist.side_effects["cosine"].value == pytest.approx(cosine.mean(), abs=1e-4)
    pairs = np.triu_indices(len(ours), 1)
    ranks = spearmanr((ours @ ours.T)[pairs], (theirs @ theirs.T)[pairs]).statistic
    assert finalist.side_effects["rank_agreement"].value == pytest.approx(ranks, abs=1e-3)
    assert set(finalist.side_effects) == {"cosine", "rank_agreement"}
    assert cosine.mean() > 0.9
