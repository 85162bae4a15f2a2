"""What is said of weights that a study trained and the store does not have. Free of torch."""

from __future__ import annotations

from ....profiles.errors import UnsupportedError

MEND_LOST = (
    "nothing is trained here: a study under another `name` on the same store trains it again, and the same "
    "`paretune retarget` then finds it"
)


class WeightsLostError(UnsupportedError):
    """The store does not have what a study trained: a lack of the store, and none of the candidate."""


def lost(study: str) -> str:
    """Why there is no candidate of these weights."""
    return f"its weights, trained in {study}, are gone from the store or damaged; {MEND_LOST}"
