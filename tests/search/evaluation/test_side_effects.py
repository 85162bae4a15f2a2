from __future__ import annotations

import numpy as np
import pytest
from paretune.profiles.errors import UserError
from paretune.search.evaluation.side_effects import (
    agreement,
    calibration_error,
    check_possible,
    ece_rise,
    gain_of,
    is_probabilities,
    paired_interval,
    possible,
    side_effects,
    worst_class_drop,
)
from paretune.search.record.metrics import SIDE_EFFECTS
from paretune.search.workload.workload import ACCURACY, Metric

CLASSES = 5


def one_hot(classes, sure=4.0):
    """Logits that give these classes."""
    return (sure * np.eye(CLASSES)[np.asarray(classes)]).astype(np.float32)


def softmax(logits):
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


@pytest.fixture
def labels():
    return np.repeat(np.arange(CLASSES), 40)


def wrong(labels, rows):
    given = labels.copy()
    given[rows] = (given[rows] + 1) % CLASSES
    return one_hot(given)


def test_worst_class_is_found_with_its_raw_values(labels):
    found = worst_class_drop(wrong(labels, [81, 82, 83, 10]), wrong(labels, [10, 50]), labels)
    assert found.value == pytest.approx(3 / 40)
    assert "class 2: 92.5 % against the teacher's 100 %, 40 samples" in found.how
    assert found.low <= found.value <= found.high


def test_interval_of_the_worst_class_holds_for_all_classes_at_once(labels):
    """The drop of the worst of 5 equal classes is chance: its interval must reach down to nothing."""
    found = worst_class_drop(wrong(labels, [81, 82]), wrong(labels, [10, 50]), labels)
    alone = paired_interval(np.r_[np.ones(2), np.zeros(38)], 0.05)
    assert found.low < 0 < found.value
    assert found.high > alone[1]


def test_no_drop_is_not_certain_on_few_samples(labels):
    found = worst_class_drop(one_hot(labels), one_hot(labels), labels)
    assert found.value == 0
    assert 0.05 < found.high < 0.2
    assert found.how.startswith("no class loses; class 0")


def test_drop_of_every_class_may_be_negative(labels):
    found = worst_class_drop(one_hot(labels), wrong(labels, np.arange(0, 200, 10)), labels)
    assert found.value == pytest.approx(-4 / 40)


def test_interval_of_paired_differences_holds_the_truth():
    """Simulated: 3 % lost, 1 % won, 540 samples; right in at least 93 % of 400 draws."""
    rng = np.random.default_rng(0)
    draws = rng.choice([1, -1, 0], p=[0.03, 0.01, 0.96], size=(400, 540))
    ends = [paired_interval(row, 0.05) for row in draws]
    assert np.mean([low <= 0.02 <= high for low, high in ends]) > 0.93
    assert np.mean([high - low for low, high in ends]) < 0.045


def test_agreement_counts_classes_not_labels(labels):
    found = agreement(wrong(labels, [0, 1]), wrong(labels, [1, 2]))
    # Row 1 is wrong in both, and the same.
    assert found.value == pytest.approx(198 / 200)
    assert found.how == "same class on 198 of 200 samples"
    assert found.low < found.value < found.high <= 1


def test_calibration_of_logits_and_of_probabilities_is_the_same(labels):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(200, CLASSES)) * 2 + one_hot(labels, 2.0)
    rise = ece_rise(3 * logits, logits, labels)
    same = ece_rise(softmax(3 * logits), softmax(logits), labels)
    assert rise.value == pytest.approx(same.value, abs=1e-9)
    assert 0.05 < rise.value < 0.5
    assert rise.low > 0


def test_overconfident_by_a_known_amount():
    """Confidence 0.9 where 70 % are right: an error of 20 %, whatever the correction for few samples."""
    right = np.r_[np.ones(700), np.zeros(300)]
    assert calibration_error(np.full(1000, 0.9), right) == pytest.approx(0.2, abs=1e-6)


def test_calibration_error_of_a_calibrated_model_is_corrected_for_few_samples():
    rng = np.random.default_rng(2)
    found, plain = [], []
    for _ in range(100):
        confidence = rng.uniform(0.5, 1.0, size=200)
        right = (rng.random(200) < confidence).astype(float)
        found.append(calibration_error(confidence, right))
        bins = (confidence * 15).astype(int)
        sums = np.bincount(bins, weights=confidence - right, minlength=16)
        plain.append(np.abs(sums).sum() / 200)
    assert np.mean(found) < 0.7 * np.mean(plain)


def test_identical_outputs_have_no_rise_of_calibration_error(labels):
    logits = one_hot(labels) + np.random.default_rng(0).normal(size=(200, CLASSES))
    found = ece_rise(logits, logits, labels)
    assert (found.value, found.low, found.high) == (0.0, 0.0, 0.0)


def test_int8_probabilities_are_known_as_such():
    exact = softmax(np.random.default_rng(0).normal(size=(50, 10)) * 3)
    assert is_probabilities(np.round(exact * 256) / 256)
    assert not is_probabilities(exact * 4)
    assert not is_probabilities(np.log(exact))


def test_each_task_has_what_has_a_meaning_for_it(labels):
    found = side_effects(one_hot(labels), one_hot(labels), labels, "classification")
    assert tuple(found) == possible("classification") == SIDE_EFFECTS[:3]
    numbers = np.random.default_rng(0).normal(size=(100, 1)).astype(np.float32)
    found = side_effects(numbers + 0.02, numbers + 0.01, numbers, "regression")
    assert set(found) == {"correlation"} == set(possible("regression"))
    assert found["correlation"].value == pytest.approx(1.0)
    assert side_effects(numbers, numbers, numbers, "unknown") == {}
    assert possible("unknown") == ()
    with pytest.raises(UserError, match=r"(?s)agreement, which has no meaning.*accepted: cosine"):
        check_possible({"agreement"}, "embedding")


def test_embeddings_are_alike_in_direction_and_in_their_neighbours():
    rng = np.random.default_rng(0)
    teacher = rng.normal(size=(60, 16))
    turned = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    same = side_effects(3 * teacher, teacher, np.zeros(60), "embedding")
    assert {name: round(q.value, 9) for name, q in same.items()} == {"cosine": 1.0, "rank_agreement": 1.0}
    found = side_effects(teacher @ turned, teacher, np.zeros(60), "embedding")
    assert found["cosine"].value < 0.5, "another direction"
    assert found["rank_agreement"].value == pytest.approx(1.0), "but the same neighbours"
    noisy = side_effects(teacher + rng.normal(size=teacher.shape), teacher, np.zeros(60), "embedding")
    assert 0.3 < noisy["rank_agreement"].value < 0.9
    assert noisy["rank_agreement"].low <= noisy["rank_agreement"].value <= noisy["rank_agreement"].high


def test_pixels_without_a_label_do_not_count():
    labels = np.array([[[0, 1], [-1, 2]]])
    ours, theirs = np.zeros((1, 3, 2, 2)), np.zeros((1, 3, 2, 2))
    ours[0, 1, 1, 0] = 1.0  # differs where there is no label
    assert side_effects(ours, theirs, labels, "segmentation")["agreement"].value == 1.0
    ours[0, 1, 0, 0] = 1.0
    assert side_effects(ours, theirs, labels, "segmentation")["agreement"].value == pytest.approx(2 / 3)


def test_several_labels_agree_label_by_label():
    labels = np.array([[1, 0, 1], [0, 0, 1], [1, 1, 0], [0, 1, 0]])
    logits = np.where(labels == 1, 2.0, -2.0)
    other = logits.copy()
    other[0, 0] = -1.0
    found = side_effects(other, logits, labels, "multi-label")
    assert set(found) == {"agreement"}
    assert found["agreement"].value == pytest.approx(11 / 12)


def test_a_metric_that_cannot_be_resampled_is_left_out():
    def picky(outputs, labels):
        raise ValueError("wants the samples in their order")

    outputs, labels = np.zeros((20, 3)), np.zeros((20, 3), dtype=np.float32) + 0.5
    assert gain_of(outputs, outputs, labels, Metric(name="picky", function=picky)) is None


def test_gain_over_another_training(labels):
    found = gain_of(wrong(labels, [0]), wrong(labels, [0, 50, 60, 70]), labels, ACCURACY)
    assert found is not None
    assert found.value == pytest.approx(3 / 200)
    assert found.low < 0 < found.high
    assert found.how == "99.50 % against 98.00 %, 200 samples"
