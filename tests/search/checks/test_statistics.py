"""The promises of the tests, held by simulation: seeds are fixed, so that nothing here is left to chance."""

from math import log

import numpy as np
import pytest
from paretune.profiles.quantity import Quantity
from paretune.search.checks.decide import FALSE_ALARM, decided, holm
from paretune.search.checks.evidence import Question, fact, skipped, unpaired
from paretune.search.checks.paired import compared, mcnemar, non_inferior, of_hits
from paretune.search.checks.quantiles import above
from paretune.search.checks.shares import share_beyond
from paretune.search.checks.tolerances import Tolerance
from paretune.search.record.checks import CheckOutcome, Scale
from paretune.search.record.samples import of_draws
from paretune.search.record.samples import of_hits as kept_hits
from scipy.stats import binomtest

PASSED, FAILED, OPEN, SKIPPED = (
    CheckOutcome.PASSED, CheckOutcome.FAILED, CheckOutcome.INCONCLUSIVE, CheckOutcome.SKIPPED
)  # fmt: skip


def question(metric="accuracy", amount=0.01, relative=False, higher=None):
    return Question(
        subject="it", metric=metric, tolerance=Tolerance(amount=amount, relative=relative), higher=higher
    )


def timed(value, share, metric="latency_ratio", **more):
    return unpaired(
        question(metric, 0.03, relative=True),
        Quantity(value=1.0, low=1 / (1 + share), high=1 + share),
        Quantity(value=value, low=value / (1 + share), high=value * (1 + share)),
        **more,
    )


def test_mcnemars_p_value_is_the_binomial_one():
    for worse, better in ((0, 0), (1, 0), (5, 2), (40, 22), (3, 30)):
        count = worse + better
        exact = binomtest(worse, count, 0.5, alternative="greater").pvalue if count else 1.0
        assert mcnemar(worse, better) == pytest.approx(exact)


@pytest.mark.parametrize(("count", "won"), [(200, 0.005), (200, 0.03), (1000, 0.01), (5000, 0.05)])
def test_a_loss_of_just_what_is_tolerated_fails_no_more_often_than_promised(count, won):
    level, margin, many = 0.01, 0.01, 20_000
    draws = np.random.default_rng(1).multinomial(count, [won + margin, won, 1 - 2 * won - margin], many)
    pairs, times = np.unique(draws[:, :2], axis=0, return_counts=True)
    alarms = sum(
        n for (worse, better), n in zip(pairs.tolist(), times.tolist(), strict=True)
        if non_inferior(worse, better, count, margin) < level
    )  # fmt: skip
    assert alarms / many < level + 3 * np.sqrt(level / many) + 0.002  # the score test is no exact one


def test_where_nothing_has_changed_few_samples_that_differ_raise_no_more_alarms_than_promised():
    many = 20_000
    draws = np.random.default_rng(2).multinomial(100, [0.05, 0.05, 0.9], many)
    alarms = sum(non_inferior(worse, better, 100, 0.0) < 0.01 for worse, better, _ in draws.tolist())
    assert alarms / many <= 0.01


def test_a_loss_of_twice_what_is_tolerated_is_found_where_the_check_says_so():
    """What is said to be detectable is found in 95 of 100 cases: pairs of hits, and intervals."""
    rng, many = np.random.default_rng(3), 400
    count, won = 20_000, 0.005
    place = np.arange(count) / count
    first = of_hits(question(), place >= won, (place < won) | (place >= 2 * won + 0.01 + won))
    said = -decided([first])[0].detectable
    found = 0
    for worse, better, _ in rng.multinomial(count, [won + said, won, 1 - 2 * won - said], many).tolist():
        found += non_inferior(worse, better, count, 0.01) < FALSE_ALARM
    assert 0.92 <= found / many <= 0.99


@pytest.mark.parametrize("degrees", [4.0, np.inf])
def test_no_verdict_of_many_checks_raises_more_false_alarms_than_promised(degrees):
    """Eight metrics that have lost all that is tolerated, each with its own noise."""
    rng, many, checks = np.random.default_rng(4), 3_000, 8
    noise = rng.standard_normal((many, checks)) if degrees == np.inf else rng.standard_t(8, (many, checks))
    alarms = 0
    base = timed(1.03, 0.02, degrees=degrees)
    assert base.degrees == (np.inf if degrees == np.inf else pytest.approx(8))
    for night in noise:
        alarms += min(holm([above(value, base.degrees) for value in night.tolist()])) < FALSE_ALARM
    assert alarms / many <= FALSE_ALARM + 3 * np.sqrt(FALSE_ALARM / many)


def test_holm_corrects_as_the_paper_does():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("value", "share", "outcome"),
    [
        (1.00, 0.005, PASSED),
        (1.06, 0.005, FAILED),
        (1.03, 0.005, PASSED),  # just what is tolerated
        (0.90, 0.005, PASSED),  # faster
        (1.02, 0.100, OPEN),  # a loss of 6 % could have stayed unseen
        (0.80, 0.100, PASSED),  # but not where it is that much faster
        (2.00, 0.100, FAILED),
    ],
)
def test_an_interval_passes_fails_or_cannot_tell(value, share, outcome):
    check = decided([timed(value, share)])[0]
    assert check.outcome is outcome
    assert check.scale is Scale.RATIO
    assert check.tolerated == pytest.approx(1.03)
    assert check.change.low < value < check.change.high
    assert check.detectable > 1.03


def test_what_is_better_higher_is_tolerated_downwards():
    found = unpaired(
        question("throughput_per_s", 0.05, relative=True), Quantity(value=100.0), Quantity(value=94.0)
    )
    check = decided([found])[0]
    assert (check.outcome, check.tolerated) == (FAILED, pytest.approx(0.95))
    assert check.change.value == pytest.approx(0.94)
    assert found.loss == pytest.approx(-log(0.94))


def test_what_has_no_interval_is_exact_and_does_not_count_among_the_many():
    size = unpaired(question("size_bytes", 0.0, relative=True), Quantity(value=5e3), Quantity(value=5e3 + 1))
    same = unpaired(question("size_bytes", 0.0, relative=True), Quantity(value=5e3), Quantity(value=5e3))
    noisy = timed(1.0, 0.005)
    checks = decided([size, same, noisy])
    assert [check.outcome for check in checks] == [FAILED, PASSED, PASSED]
    assert checks[0].p_value is None
    assert checks[2].detectable == decided([noisy])[0].detectable


def test_what_differs_between_days_widens_what_is_seen():
    sure, wide = timed(1.06, 0.005), timed(1.06, 0.005, between=0.03)
    assert decided([sure])[0].outcome is FAILED
    assert decided([wide])[0].outcome is OPEN
    assert wide.p > sure.p


def test_scores_on_the_same_samples_are_compared_in_pairs():
    rng = np.random.default_rng(5)
    right = rng.random(1000) < 0.9
    worse = right.copy()
    worse[np.flatnonzero(right)[:40]] = False

    def score(hits, samples="test"):
        return Quantity(
            value=hits.mean(),
            low=hits.mean() - 0.02,
            high=hits.mean() + 0.02,
            by_sample=kept_hits(samples, hits),
        )

    lost, same = (
        compared(question(), score(right), score(worse)),
        compared(question(), score(right), score(right)),
    )
    assert [check.outcome for check in decided([lost, same])] == [FAILED, PASSED]
    assert same.unchanged
    apart = compared(question(), score(right), score(worse, "other"))
    assert apart.reason
    assert decided([apart])[0].outcome is OPEN  # the same loss, but the intervals of two samples


def test_errors_that_are_better_lower_are_lost_the_other_way_round():
    wrong = np.zeros(1000, bool)
    more = wrong.copy()
    more[:50] = True
    assert decided([of_hits(question("failures", higher=False), wrong, more)])[0].outcome is FAILED
    assert decided([of_hits(question("failures", higher=False), more, wrong)])[0].outcome is PASSED


def test_draws_are_compared_draw_by_draw():
    rng = np.random.default_rng(6)
    common = rng.normal(30, 0.5, 500)

    def score(value, noise):
        draws = (common + value - 30 + rng.normal(0, noise, 500)).astype(np.float32)
        return Quantity(value=value, low=value - 1, high=value + 1, by_sample=of_draws("test", 300, draws))

    then = score(30.0, 0.01)
    asked = question("psnr", 0.1)
    assert decided([compared(asked, then, score(29.7, 0.01))])[0].outcome is FAILED
    assert decided([compared(asked, then, score(29.95, 0.01))])[0].outcome is PASSED
    assert decided([compared(asked, then, then)])[0].outcome is PASSED


def test_a_share_is_tested_exactly():
    for count, of in ((0, 50), (1, 50), (7, 200), (200, 200)):
        found, exact = share_beyond(question("decisions", 0.005), count, of), binomtest(count, of, 0.005)
        interval = exact.proportion_ci(0.95, "exact")
        assert (found.found.low, found.found.high) == pytest.approx((interval.low, interval.high))
        assert found.p == pytest.approx(binomtest(count, of, 0.005, alternative="greater").pvalue)
    assert decided([share_beyond(question("decisions", 0.005), 7, 200)])[0].outcome is FAILED
    assert decided([share_beyond(question("decisions", 0.005), 0, 200)])[0].outcome is PASSED


def test_facts_and_what_cannot_be_asked_need_no_correction():
    checks = decided(
        [fact(question("files"), 0), fact(question("files"), 2, "a"), skipped(question(), "why")]
    )
    assert [check.outcome for check in checks] == [PASSED, FAILED, SKIPPED]
    assert checks[1].change.value == 2
    assert decided([timed(9.0, 0.01).open("another machine")])[0].outcome is OPEN
