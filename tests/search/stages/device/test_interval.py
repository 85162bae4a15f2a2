"""What a score is made of: which samples are right, or what it is of resampled ones."""

import numpy as np
import pytest
from paretune.search.record.samples import DRAWS, HITS, MOST_HITS, difference
from paretune.search.stages.device.interval import RESAMPLES, score
from paretune.search.workload.outputs import rows_of
from paretune.search.workload.workload import ACCURACY, Metric
from sklearn.metrics import roc_auc_score

RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 3, 300)
OUTPUTS = np.eye(3)[LABELS] + RNG.normal(0, 0.6, (300, 3))


def own_accuracy(outputs, labels):
    return np.mean([row.argmax() == label for row, label in zip(outputs, labels, strict=True)])


def f1(outputs, labels):
    """The mean over classes, in a tenth of scikit-learn's time."""
    pairs = np.bincount(3 * labels + outputs.argmax(axis=1), minlength=9).reshape(3, 3)
    return np.mean(2 * pairs.diagonal() / np.maximum(pairs.sum(axis=0) + pairs.sum(axis=1), 1))


def auc(outputs, labels):
    return roc_auc_score(labels == 1, outputs[:, 1])


def of(function, outputs=OUTPUTS, labels=LABELS, name="own"):
    return score(Metric(name=name, function=function), outputs, labels, place="here", samples="s")


def test_accuracy_is_one_bit_a_sample_whoever_wrote_it():
    built_in = score(ACCURACY, OUTPUTS, LABELS, place="here", samples="s")
    own = of(own_accuracy)
    assert built_in.by_sample.kind == HITS
    assert own == built_in  # with Wilson's interval, too


def test_a_metric_that_is_no_share_of_right_samples_is_kept_as_draws():
    for function in (f1, auc, lambda o, y: float(np.sqrt(np.mean((o[:, 0] - y) ** 2)))):
        found = of(function)
        assert (found.by_sample.kind, found.by_sample.count) == (DRAWS, 300)
        assert found.low < found.value < found.high


def test_f1_is_no_share_although_it_is_0_or_1_of_single_samples_and_of_the_first():
    outputs = np.eye(3)[LABELS]
    outputs[-20:] = outputs[-20:, [1, 2, 0]]
    assert of(f1, outputs).by_sample.kind == DRAWS


def test_draws_are_over_the_same_rows_for_every_model():
    noisy = OUTPUTS + RNG.normal(0, 0.05, OUTPUTS.shape)
    one, other = of(f1), of(f1, noisy)
    gap = difference(one, other)
    assert gap.high - gap.low < 0.7 * (one.high - one.low)
    assert gap.low <= one.value - other.value <= gap.high


def test_a_draw_that_lacks_a_class_says_nothing_and_breaks_nothing():
    labels = np.zeros(40, dtype=int)
    labels[0] = 1
    found = of(auc, RNG.normal(size=(40, 2)), labels)
    assert np.isfinite([found.value, found.low, found.high]).all()


def test_several_outputs_are_resampled_together():
    outputs = {"a": OUTPUTS, "b": -OUTPUTS}
    assert rows_of(outputs, np.array([3, 3]))["b"].shape == (2, 3)
    found = of(lambda o, y: own_accuracy(o["a"], y), outputs)
    assert found == of(own_accuracy)


def test_many_samples_take_no_more_room():
    right = RNG.random(MOST_HITS + 8) < 0.9
    outputs = np.stack([~right, right], axis=1).astype(float)
    found = score(ACCURACY, outputs, np.ones(len(right), dtype=int), place="here", samples="s")
    assert found.by_sample.kind == DRAWS
    assert len(found.by_sample.data) <= RESAMPLES * 4 * 4 / 3 + 4
    gap = difference(found, found)
    assert gap.ends == (0.0, 0.0)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_few_samples_do(count):
    found = score(ACCURACY, OUTPUTS[:count], LABELS[:count], place="here")
    assert found.low <= found.value <= found.high
