"""Labels of which one class is nearly all: said at once, since most metrics then tell little."""

from __future__ import annotations

import numpy as np

from .workload import Array, Splits

NEARLY_ALL = 0.9


def one_sided(splits: Splits) -> tuple[str, ...]:
    """A sentence where most labels of a split are one class; nothing where labels are no class numbers."""
    found = {name: share for name, split in splits.items() if (share := _largest(split.labels))}
    if not found:
        return ()
    shares = (f"{100 * share:.1f} % of {name!r} are class {one}" for name, (one, share) in found.items())
    return (
        f"one class is nearly all of the labels: {', '.join(shares)}. A model that always answers so looks "
        "good by accuracy; a metric that weighs classes alike (f1_macro, auc) tells more",
    )


def _largest(labels: Array) -> tuple[int, float] | None:
    """The class that is nearly all, and its share; negative labels, which losses leave out, do not count."""
    if labels.dtype.kind not in "iubf":
        return None
    flags = bool(((labels == 0) | (labels == 1)).all())
    if labels.ndim == 2 and flags:  # several labels for each sample, most of which are usually absent
        return None
    if labels.dtype.kind == "f" and not flags:
        return None
    values, counts = np.unique(labels[labels >= 0], return_counts=True)
    if not counts.size or counts.max() <= NEARLY_ALL * counts.sum():
        return None
    return int(values[counts.argmax()]), float(counts.max() / counts.sum())
