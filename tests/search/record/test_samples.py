"""Differences of scores on the same samples."""

import itertools
import math

import numpy as np
import pytest
from paretune.profiles.quantity import Quantity
from paretune.search.record.evaluation import EVALUATION, Evaluation, Outcome
from paretune.search.record.samples import MOST_HITS, difference, of_draws, of_hits, paired

SAMPLES = 200


def hits(right, samples="s"):
    right = np.asarray(right, dtype=bool)
    return Quantity(value=float(right.mean()), by_sample=of_hits(samples, right))


def draws(values, value, samples="s", count=SAMPLES):
    return Quantity(value=value, by_sample=of_draws(samples, count, np.asarray(values, dtype=float)))


def two(gained, lost, count=SAMPLES):
    """Two scores that differ on `gained + lost` of the samples."""
    one, other = np.ones(count, dtype=bool), np.ones(count, dtype=bool)
    other[:gained] = False
    one[gained : gained + lost] = False
    return hits(one), hits(other)


def mcnemar(gained, lost):
    """Two-sided exact p, by its definition."""
    pairs = gained + lost
    tail = sum(math.comb(pairs, k) for k in range(min(gained, lost) + 1)) / 2**pairs
    return min(1.0, 2 * tail)


@pytest.mark.parametrize("count", [60, 200, 5000])
def test_it_is_beyond_error_exactly_where_mcnemars_exact_test_says_so(count):
    for gained, lost in itertools.product(range(31), repeat=2):
        if gained + lost <= count:
            gap = difference(*two(gained, lost, count))
            assert gap.value == pytest.approx((gained - lost) / count)
            assert gap.low <= gap.value <= gap.high
            assert (gap.low > 0 or gap.high < 0) == (mcnemar(gained, lost) < 0.05)


def test_one_sided_changes_show_in_pairs_and_not_in_separate_intervals():
    one, other = two(gained=8, lost=0)
    gap = difference(one, other)
    assert gap.low > 0
    assert gap.high == pytest.approx(-difference(other, one).low)


@pytest.mark.parametrize(("gained", "lost"), [(0.03, 0.01), (0.005, 0.0), (0.1, 0.1)])
def test_the_interval_holds_the_true_difference(gained, lost):
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(400):
        kind = rng.choice(3, size=SAMPLES, p=[gained, lost, 1 - gained - lost])
        gap = difference(hits(kind != 1), hits(kind != 0))
        held += gap.low <= gained - lost <= gap.high
    assert held >= 0.93 * 400


def bootstrapped(values, function):
    """Scores over the same draws of rows for whatever values."""
    rng = np.random.default_rng(0)
    return [function(values[rng.integers(0, len(values), len(values))]) for _ in range(500)]


def test_a_small_loss_on_most_samples_is_beyond_error_where_samples_differ_much():
    rng = np.random.default_rng(1)
    easy = rng.lognormal(0, 1, SAMPLES)
    worse = easy * rng.normal(1.06, 0.05, SAMPLES)

    def psnr(errors):
        return float(-10 * np.log10(errors.mean()))

    one, other = (draws(bootstrapped(e, psnr), psnr(e)) for e in (easy, worse))
    gap = difference(one, other)
    assert 0 < gap.low < gap.value < gap.high
    apart = np.subtract(bootstrapped(easy, psnr), bootstrapped(worse, psnr))
    assert [gap.low, gap.high] == pytest.approx(list(np.percentile(apart, [2.5, 97.5])), abs=0.02)


def test_a_factor_is_that_of_the_second():
    right = np.arange(SAMPLES) < 160
    gap = difference(hits(right), hits(right), factor=0.9)
    assert gap.value == pytest.approx(0.08)
    assert gap.low > 0.06


def test_what_is_not_a_number_in_a_draw_is_left_out_of_all():
    values = np.linspace(0, 1, 500)
    broken = values.copy()
    broken[:100] = np.nan
    gap = difference(draws(values + 0.1, 0.6), draws(broken, 0.5))
    assert gap.low == pytest.approx(0.1, abs=1e-3)
    assert difference(draws(values, 0.5), draws(np.full(500, np.nan), 0.5)) is None


def test_other_samples_are_not_compared():
    right = np.ones(SAMPLES, dtype=bool)
    assert difference(hits(right), hits(right, samples="others")) is None
    assert difference(hits(right), Quantity(value=1.0)) is None
    assert list(paired([])) == []


def test_all_pairs_at_once_are_what_two_alone_are():
    rng = np.random.default_rng(2)
    scores = [hits(rng.random(SAMPLES) < share) for share in (0.7, 0.8, 0.9)]
    several = [scores[0], Quantity(value=0.5), scores[1], hits(rng.random(50) < 0.5, "others"), scores[2]]
    (group,) = paired(several)
    assert list(group.index) == [0, 2, 4]
    for i, a in enumerate(scores):
        for j, b in enumerate(scores):
            assert (group.low[i, j], group.high[i, j]) == difference(a, b).ends


def test_they_outlive_a_record_in_a_few_kilobytes():
    rng = np.random.default_rng(3)
    for score in (hits(rng.random(MOST_HITS) < 0.9), draws(rng.normal(size=500), 0.0, count=10**6)):
        candidate = {"backend": "toy", "precision": "fp32"}
        evaluation = EVALUATION.validate_python(
            {"candidate": candidate, "outcome": Outcome.COMPLETE, "metrics": {"accuracy": score}}
        )
        text = EVALUATION.dump_json(evaluation)
        again: Evaluation = EVALUATION.validate_json(text)
        assert again.metrics["accuracy"] == score
        assert len(text) < 7000
