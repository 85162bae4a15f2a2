"""Scores on the same samples, compared pair by pair and tested against what is tolerated."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from math import isfinite, sqrt

import numpy as np
from scipy.special import bdtrc, ndtr

from ...profiles.quantity import Quantity, SampleResults
from ..record.arrays import Flags
from ..record.checks import Scale
from ..record.samples import DRAWS, HITS, difference
from .evidence import Evidence, Question, tested, unpaired
from .quantiles import quantile


def compared(question: Question, expected: Quantity, found: Quantity) -> Evidence:
    """Two scores: in pairs where they are of the same samples, else by their own intervals, which is said."""
    one, other = expected.by_sample, found.by_sample
    if one is None or other is None:
        return unpaired(question, expected, found)
    if (one.samples, one.kind, one.count) != (other.samples, other.kind, other.count):
        return unpaired(question, expected, found, reason="other samples than then: not compared in pairs")
    if one.kind == HITS:
        return of_hits(question, hits_of(expected), hits_of(found), expected, found)
    paired = _of_draws(question, expected, found) if one.kind == DRAWS else None
    return paired or unpaired(question, expected, found)


def of_hits(
    question: Question,
    before: Flags,
    now: Flags,
    expected: Quantity | None = None,
    found: Quantity | None = None,
) -> Evidence:
    """Which of the same samples were right before, and which are now.

    The p-value is that of `non_inferior`. The interval is Bonett and Price's (2012,
    doi:10.3102/1076998611411915): one pair that speaks for each side is added, so that few pairs that differ
    still say something.
    """
    count = len(before)
    lost, won = int((before & ~now).sum()), int((~before & now).sum())
    worse, better = (lost, won) if question.higher_is_better else (won, lost)
    expected = expected or Quantity(value=float(before.mean()))
    mean = (worse - better) / (count + 2)
    margin = question.margin(expected, Scale.DIFFERENCE)
    evidence = tested(
        Evidence(
            question=question,
            scale=Scale.DIFFERENCE,
            loss=(worse - better) / count,
            margin=margin,
            error=sqrt(max((worse + better + 2) / (count + 2) - mean**2, 0.0) / (count + 2)),
            growth=1 / (count + 2),
            unchanged=worse == better == 0,
            expected=expected,
            found=found or Quantity(value=float(now.mean())),
            reason=f"in pairs on the same {count} samples: {worse} got worse, {better} better",
        )
    )
    return replace(evidence, p=non_inferior(worse, better, count, margin))


def non_inferior(worse: int, better: int, count: int, margin: float) -> float:
    """The p-value of "at most this share of the `count` samples is lost, all in all".

    It is the larger of two: McNemar's (1947, doi:10.1007/BF02295996) in its exact conditional form, which
    raises no more false alarms than promised where nothing has changed, however few samples differ; and
    that of Tango's score test against the margin (1998, Statistics in Medicine 17:891-908).
    """
    return max(mcnemar(worse, better), _tango(worse, better, count, margin))


def mcnemar(worse: int, better: int) -> float:
    """Exact and one-sided: the chance that of the pairs that differ so many or more are worse."""
    return float(bdtrc(worse - 1, worse + better, 0.5)) if worse else 1.0


def _tango(worse: int, better: int, count: int, margin: float) -> float:
    if worse + better == 0 or margin >= 1:
        return 1.0
    a, c = 2 * count, -better * margin * (1 - margin)
    b = (2 * count - worse + better) * margin - worse - better
    won = (sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)  # share won, were just the margin lost
    variance = count * (2 * won + margin * (1 - margin))
    return float(ndtr((count * margin - worse + better) / sqrt(variance))) if variance > 0 else 1.0


def _of_draws(question: Question, expected: Quantity, found: Quantity) -> Evidence | None:
    """The paired bootstrap (Efron and Tibshirani 1993): the standard error of the difference over the same
    draws, with Student's distribution for so many samples; None where there are too few draws."""
    paired, results = difference(found, expected), found.by_sample
    if paired is None or results is None:
        return None
    low, high = paired.ends
    if not all(end is not None and isfinite(end) for end in (paired.low, paired.high)):
        return None
    degrees = float(max(1, results.count - 1))
    return tested(
        Evidence(
            question=question,
            scale=Scale.DIFFERENCE,
            loss=-paired.value if question.higher_is_better else paired.value,
            margin=question.margin(expected, Scale.DIFFERENCE),
            error=(high - low) / 2 / quantile(0.975, degrees),
            degrees=degrees,
            unchanged=expected.by_sample == found.by_sample,
            expected=expected,
            found=found,
            reason=paired.how,
        )
    )


def are_sound(results: SampleResults) -> bool:
    """Whether results that came from elsewhere are what they say: as many as they count."""
    if results.kind not in (HITS, DRAWS):
        return True  # compared by nobody here
    try:
        data = b64decode(results.data, validate=True)
    except ValueError:
        return False
    wanted = -(-results.count // 8) if results.kind == HITS else 4
    return results.count > 0 and (len(data) == wanted if results.kind == HITS else len(data) % wanted == 0)


def hits_of(quantity: Quantity) -> Flags:
    """Which samples were right; `by_sample` must be of hits."""
    results = quantity.by_sample
    assert results is not None
    assert results.kind == HITS
    bits = np.frombuffer(b64decode(results.data), np.uint8)
    return np.unpackbits(bits, count=results.count).astype(bool)
