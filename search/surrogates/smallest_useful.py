"""From which size on models work at all: a change point in one measure of capacity.

Very small models are fast and useless. A smooth model of the quality learns that slowly, and until then
their speed makes them look attractive, so whether a candidate works is modelled by itself: below an unknown
size few do, above it most, with the probability of both sides and of every place of the change averaged over
what was seen (a Beta-binomial model with a uniform prior on the place).
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaln

from ..record.arrays import Flags, Floats

PLACES = 64
# Beta priors: nothing is known of small models, larger ones mostly work.
BELOW, ABOVE = (1.0, 1.0), (4.0, 1.0)


def chance_to_work(known: Floats, works: Flags, sizes: Floats) -> Floats:
    """Probability [rows] that candidates of these `sizes` (logarithms) work, given known ones."""
    if not len(known) or np.ptp(sizes) == 0:
        return np.ones(len(sizes))
    places = np.linspace(sizes.min() - 1e-9, sizes.max(), PLACES)
    below, good = known[:, None] < places, works[:, None]
    counts = [(side & kind).sum(axis=0) for side in (below, ~below) for kind in (good, ~good)]
    low_good, low_bad, high_good, high_bad = (count.astype(float) for count in counts)
    evidence = (
        betaln(BELOW[0] + low_good, BELOW[1] + low_bad)
        - betaln(*BELOW)
        + betaln(ABOVE[0] + high_good, ABOVE[1] + high_bad)
        - betaln(*ABOVE)
    )
    weights = np.exp(evidence - evidence.max())
    weights /= weights.sum()
    low = (BELOW[0] + low_good) / (sum(BELOW) + low_good + low_bad)
    high = (ABOVE[0] + high_good) / (sum(ABOVE) + high_good + high_bad)
    # A size is above the places before its own, and below those after it.
    above = np.concatenate([[0.0], np.cumsum(weights * high)])
    under = np.concatenate([np.cumsum((weights * low)[::-1])[::-1], [0.0]])
    found: Floats = (above + under)[np.searchsorted(places, sizes, side="right")]
    return found
