"""What networks that were not looked at would tell, predicted from their axes and from those that were."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import cho_solve

from ..record.arrays import Floats, Integers
from .kernel import Inputs, Pairs, Settings, prior
from .one_thread import in_one_thread

SETTINGS, NOISE = 16, 1e-2
MOST_TOLD = 400
"""Predictions rest on so many networks, drawn from all that told."""
AT_ONCE = 1 << 11


@dataclass(frozen=True, kw_only=True)
class _Fit:
    evidence: float
    setting: Settings
    weights: Floats


@in_one_thread
def filled(scores: Floats, inputs: Inputs, seed: int) -> Floats:
    """[models, features] scores without gaps: a kernel regression on `inputs` [models], its settings the best
    of some by evidence. Nothing but zeros, the middle of all scores, where too little is known."""
    missing = np.isnan(scores)
    if not missing.any():
        return scores
    known = np.flatnonzero(~missing.any(axis=1))
    if len(known) < 2:
        return np.where(missing, 0.0, scores)
    if len(known) > MOST_TOLD:
        known = np.sort(np.random.default_rng(seed).choice(known, MOST_TOLD, replace=False))
    middle = scores[known].mean(axis=0)
    near = Pairs(inputs.take(known), inputs.take(known))
    tried = prior(inputs.widths, SETTINGS)
    fits = [_fit(near, tried.take([place]), scores[known] - middle) for place in range(len(tried))]
    best = max(fits, key=lambda fit: fit.evidence)
    found = np.where(missing, 0.0, scores)
    rows = np.flatnonzero(missing.any(axis=1))
    for start in range(0, len(rows), AT_ONCE):
        part = rows[start : start + AT_ONCE]
        predicted = middle + _cross(inputs, known, part, best.setting).T @ best.weights
        found[part] = np.where(missing[part], predicted, found[part])
    return found


def _fit(near: Pairs, setting: Settings, values: Floats) -> _Fit:
    """All features by one kernel; each one's variance is the one that explains it best."""
    count = len(values)
    factor = np.linalg.cholesky(near.kernel(setting)[0] + 1.0 + NOISE * np.eye(count))
    weights: Floats = cho_solve((factor, True), values, check_finite=False)
    variances = np.maximum((values * weights).mean(axis=0), 1e-12)
    evidence = -0.5 * count * np.log(variances).sum() - values.shape[1] * np.log(np.diag(factor)).sum()
    return _Fit(evidence=float(evidence), setting=setting, weights=weights)


def _cross(inputs: Inputs, known: Integers, rows: Integers, setting: Settings) -> Floats:
    found: Floats = Pairs(inputs.take(known), inputs.take(rows)).kernel(setting)[0] + 1.0
    return found
