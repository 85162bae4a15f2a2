"""Nights as the product keeps them, made of the rounds that were recorded or simulated."""

from __future__ import annotations

from math import exp

import numpy as np
from paretune.backends.measure.spread import centre, student
from paretune.profiles.quantity import Quantity
from paretune.search.checks.tolerances import read_tolerances
from paretune.search.record.checks import CheckOutcome
from paretune.search.record.samples import of_hits
from paretune.search.regress.baseline import Anchor, Baseline, Shippable
from paretune.search.regress.compare import regressed

MEMORY_BYTES, MEMORY_SHARE = 3e7, 0.002
"""What a candidate takes, and by how much its processes differ: as recorded of small models."""
SUBJECT = "what is shipped, #1"


def several(centres):
    """A latency as finalists' are summed up: Student's t over the processes' centres, in logarithms."""
    centres = np.asarray(centres)
    half = student(len(centres)) * float(centres.std(ddof=1)) / len(centres) ** 0.5
    middle = float(centres.mean())
    return Quantity(value=exp(middle), low=exp(middle - half), high=exp(middle + half))


def centres_of(rounds, name, processes, against="reference"):
    """One logarithm of the ratio for each process, of recorded rounds."""
    logs = np.log(rounds["quickest"][name]) - np.log(rounds["quickest"][against])
    return [centre(logs[start::processes]) for start in range(processes)]


def night(ratio, quickest_ms, hits, memory_bytes=MEMORY_BYTES, teacher=None, typical_ms=None, spread=0.0):
    """What one night leaves: its candidate has this ratio to the reference, and these samples right; an A/A
    has told that processes differ by `spread`."""
    score = score_of(hits)
    metrics = {
        "accuracy": score,
        "latency_ratio": ratio,
        "latency_min_ms": Quantity(value=quickest_ms, low=quickest_ms * 0.99, high=quickest_ms * 1.01),
        "latency_ms": Quantity(value=typical_ms or quickest_ms * 1.05),
        "memory_bytes": Quantity(
            value=memory_bytes, low=memory_bytes * (1 - MEMORY_SHARE), high=memory_bytes * (1 + MEMORY_SHARE)
        ),
        "size_bytes": Quantity(value=2e4, low=2e4, high=2e4),
    }
    own = Quantity(value=quickest_ms / ratio.value)
    return Baseline(
        source="a night",
        study="nights",
        quality="accuracy",
        status="met",
        shipped=Shippable(number=1, digest="d", title="it", metrics=metrics),
        anchor=Anchor(artifact_key="r", backend="ort", latency_ms=own, quality=teacher or score),
        processes=5,
        process_spread=spread,
    )


def score_of(hits):
    share = float(hits.mean())
    return Quantity(value=share, low=share, high=share, by_sample=of_hits("test", hits))


def asked(then, now, tolerate):
    """The outcome of the whole verdict (did anything fail?), and those of latency and quality."""
    checked = regressed(then, now, read_tolerances(tolerate, "accuracy"))
    own = {one.metric: one.outcome for one in checked.checks if one.subject == SUBJECT}
    return not checked.passed, own["latency_ratio"], own["accuracy"]


def shares(found):
    """Of many nights: how often anything failed, and what became of latency and of quality, in per cent."""
    failed, latency, quality = zip(*found, strict=True)

    def percent(those, outcome):
        return 100 * sum(one is outcome for one in those) / len(those)

    return {
        "nights": len(found),
        "alarms": 100 * sum(failed) / len(found),
        "latency failed": percent(latency, CheckOutcome.FAILED),
        "latency passed": percent(latency, CheckOutcome.PASSED),
        "latency open": percent(latency, CheckOutcome.INCONCLUSIVE),
        "quality failed": percent(quality, CheckOutcome.FAILED),
        "quality passed": percent(quality, CheckOutcome.PASSED),
        "quality open": percent(quality, CheckOutcome.INCONCLUSIVE),
    }
