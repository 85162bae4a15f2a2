"""Recorded nights compared with one another: unchanged, with layers added, and with decisions flipped."""

from __future__ import annotations

from itertools import permutations

import numpy as np

from benchmarks.regress.nights import KINDS, SAME, SLOWER
from benchmarks.regress.trials import asked, centres_of, night, several, shares

SAMPLES = 5000
MOST_PAIRS = 4000


def figures(nights, tolerances, seed=0):
    """By kind of night and tolerance: false alarms of unchanged nights, and how often layers are found."""
    found = {}
    for kind in KINDS:
        those = [one for one in nights if one["kind"] == kind]
        if len(those) > 2:
            found[kind] = {"spread": spread(those), "at": of_kind(those, tolerances, seed)}
    return found


def spread(nights):
    """Standard deviations between nights in per cent: of the ratio, and of the times themselves."""
    ratios = {name: np.array([np.mean(_centres(one, name)) for one in nights]) for name in (SAME, SLOWER)}
    within = [np.std(_centres(one, SAME), ddof=1) / one["processes"] ** 0.5 for one in nights]
    return {
        "nights": len(nights),
        "ratio": 100 * ratios[SAME].std(ddof=1),
        "within a night": 100 * float(np.sqrt(np.mean(np.square(within)))),
        "farthest": 100 * float(np.abs(ratios[SAME] - np.median(ratios[SAME])).max()),
        "quickest run": 100 * float(np.std([np.log(min(o["quickest"][SAME])) for o in nights], ddof=1)),
        "typical run": 100 * float(np.std([np.log(np.median(o["typical"][SAME])) for o in nights], ddof=1)),
        "slowdown": 100 * (np.exp(ratios[SLOWER].mean() - ratios[SAME].mean()) - 1),
        "load": float(np.mean([one["load"] for one in nights])),
    }


def of_kind(nights, tolerances, seed):
    """Unchanged, with layers really added, and with twice the tolerance added to what was measured."""
    rng = np.random.default_rng(seed)
    right = rng.random(SAMPLES) < 0.9
    pairs = list(permutations(range(len(nights)), 2))
    pairs = [pairs[place] for place in rng.permutation(len(pairs))[:MOST_PAIRS]]
    same, more = ([_night(one, name, right) for one in nights] for name in (SAME, SLOWER))
    found = {}
    for tolerance in tolerances:
        shifted = [_night(one, SAME, right, 2 * tolerance / 100) for one in nights]
        tolerate = [f"latency {tolerance} %"]
        found[str(tolerance)] = {
            what: shares([asked(same[then], those[now], tolerate) for then, now in pairs])
            for what, those in (("unchanged", same), ("layers", more), ("slower", shifted))
        }
    return found


def _centres(one, name):
    return centres_of(one, name, one["processes"])


def _night(one, name, right, slower=0.0):
    quickest, typical = min(one["quickest"][name]) / 1e3, float(np.median(one["typical"][name])) / 1e3
    centres = np.asarray(_centres(one, name)) + np.log1p(slower)
    spread, factor = float(np.std(centres, ddof=1)), 1 + slower
    return night(several(centres), quickest * factor, right, typical_ms=typical * factor, spread=spread)
