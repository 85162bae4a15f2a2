from __future__ import annotations

import numpy as np
import pytest
from paretune.search.stages.models.teacher_checks import (
    advantage,
    decisions,
    sample_scores,
    student_and_teacher,
    targets_and_labels,
    two_passes,
)

RNG = np.random.default_rng(0)
COUNT = 300
CLASS = RNG.integers(0, 4, COUNT)
TOKEN = np.where(RNG.random((COUNT, 6)) < 0.3, -100, RNG.integers(0, 4, (COUNT, 6)))
SEVERAL = RNG.integers(0, 2, (COUNT, 5))
NUMBER = RNG.normal(size=(COUNT, 2))
TASKS = {"classification": CLASS, "token-classification": TOKEN, "multi-label": SEVERAL, "regression": NUMBER}


def answers(task: str, right: float, seed: int = 1) -> np.ndarray:
    """Outputs of which about that share is right, the rest drawn at random."""
    rng, labels = np.random.default_rng(seed), TASKS[task]
    known = rng.random(labels.shape) < right
    if task == "regression":
        return np.where(known, labels, rng.normal(size=labels.shape))
    if task == "multi-label":
        return np.where(known, labels, rng.integers(0, 2, labels.shape)) * 2.0 - 1
    drawn = np.where(known, np.maximum(labels, 0), rng.integers(0, 4, labels.shape))
    return np.eye(4)[drawn]


@pytest.mark.parametrize("task", TASKS)
def test_targets_that_know_nothing_of_the_labels_are_noticed(task):
    assert targets_and_labels(answers(task, 0.5), TASKS[task], task) == []
    found = targets_and_labels(answers(task, 0.0), TASKS[task], task)
    assert len(found) == 1
    assert "no better than chance" in found[0]


@pytest.mark.parametrize("task", TASKS)
def test_a_student_beats_its_teacher_only_beyond_error(task):
    labels, good = TASKS[task], answers(task, 0.6)
    assert student_and_teacher(good, good, labels, task) == []
    assert student_and_teacher(answers(task, 0.4), good, labels, task) == []
    (found,) = student_and_teacher(answers(task, 0.95), good, labels, task)
    assert found.startswith("the student beats the teacher on validation beyond error")


def test_a_few_samples_more_prove_nothing():
    teacher = answers("classification", 0.9)
    student = teacher.copy()
    wrong = np.flatnonzero(teacher.argmax(axis=1) != CLASS)
    student[wrong[:3]] = np.eye(4)[CLASS[wrong[:3]]]
    assert student_and_teacher(student, teacher, CLASS, "classification") == []
    student[wrong[:12]] = np.eye(4)[CLASS[wrong[:12]]]
    assert len(student_and_teacher(student, teacher, CLASS, "classification")) == 1


@pytest.mark.parametrize("task", TASKS)
def test_a_student_that_does_not_follow_its_teacher_is_noticed(task):
    (found,) = student_and_teacher(answers(task, 0.0, seed=7), answers(task, 0.9), TASKS[task], task)
    assert found.startswith("the student agrees with the teacher no better than chance")
    one_answer = np.zeros_like(answers(task, 0.0)) + (np.eye(4)[2] if "class" in task else 1.0)
    assert len(student_and_teacher(one_answer, answers(task, 0.9), TASKS[task], task)) == 1


def test_the_commonest_class_is_no_knowledge():
    labels = np.where(np.arange(COUNT) % 10, 0, 1)
    always = np.eye(2)[np.zeros(COUNT, dtype=int)]
    assert (always.argmax(axis=1) == labels).mean() == 0.9
    assert len(targets_and_labels(always, labels, "classification")) == 1


def test_few_samples_say_nothing():
    few = slice(0, 19)
    outputs = answers("classification", 0.0)[few]
    assert targets_and_labels(outputs, CLASS[few], "classification") == []
    assert np.isnan(advantage(np.ones(19), np.zeros(19))[1])
    assert advantage(np.ones(20), np.zeros(20)) == (1.0, 0.0)


def test_padding_counts_in_no_score():
    outputs = answers("token-classification", 1.0)
    scores = sample_scores(outputs, TOKEN, "token-classification")
    assert np.nanmin(scores) == 1
    wanted = decisions(outputs, "token-classification", TOKEN)
    np.testing.assert_array_equal(wanted < 0, TOKEN < 0)
    empty = np.full((2, 6), -1)
    assert np.isnan(sample_scores(outputs[:2], empty, "token-classification")).all()


def test_passes_that_differ_by_more_than_rounding_are_noticed():
    outputs = answers("regression", 0.5)
    assert two_passes(outputs, outputs + 1e-6) == []
    (found,) = two_passes(outputs, outputs + 0.01)
    assert "differ by up to 0.01" in found


NOISY = """
import dataclasses


class Noisy(Net):
    def forward(self, image):
        return super().forward(nn.functional.dropout(image, 0.05))  # also in evaluation mode


workload = dataclasses.replace(workload, teacher=lambda: Noisy(32))
"""


@pytest.mark.slow
def test_an_unstable_teacher_is_remarked_on_once(source, open_models):
    source.write_text(source.read_text() + NOISY)
    models = open_models()
    assert models.teacher.remarks() == ()
    (remark,) = models.teacher.soft_targets().meta["remarks"]
    assert "two passes of the teacher over the same samples differ" in remark
    assert open_models().teacher.remarks() == (remark,)


POOR = """
import dataclasses


def train_poorly(model, splits):
    labels = splits.train.labels.copy()
    order = np.random.default_rng(0).permutation(len(labels))
    wrong = order[: len(order) * 7 // 10]
    labels[wrong] = np.random.default_rng(1).permutation(labels[wrong])
    train_teacher(model, dataclasses.replace(splits, train=dataclasses.replace(splits.train, labels=labels)))


workload = dataclasses.replace(workload, train_teacher=train_poorly)
"""


@pytest.mark.slow
def test_students_that_beat_a_poor_teacher_say_so(source, open_models, candidate):
    source.write_text(source.read_text() + POOR)
    entry = open_models().trainer.trained(candidate(distill_weight=0.0, epochs=6))
    assert len(entry.meta["remarks"]) == 1
    assert entry.meta["remarks"][0].startswith("the student beats the teacher on validation beyond error")


@pytest.mark.slow
def test_a_good_teacher_is_not_remarked_on(open_models, candidate):
    models = open_models()
    assert models.trainer.trained(candidate()).meta["remarks"] == []
    assert models.teacher.remarks() == ()
    assert models.teacher.soft_targets().meta["remarks"] == []
