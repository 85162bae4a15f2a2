"""How well what networks told before their training went with what the trained ones came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter

import numpy as np

from ..record.arrays import Floats, ranks
from ..record.evaluation import Evaluation, StudyRecord
from ..record.quality import QualityScale
from ..record.untrained import places
from .known import complete_trials

FEWEST = 5
"""Trained students, below which a rank correlation says nothing."""


@dataclass(frozen=True, kw_only=True)
class Foretold:
    """Rank correlations (Spearman's) with the quality of so many trained students: of each zero-cost proxy by
    name, and of the mean of the ranks that these give (`together`; None where there is one proxy alone)."""

    students: int
    proxies: Mapping[str, float]
    together: float | None = None


def foretold(record: StudyRecord) -> Foretold | None:
    """That of a study; None where too few students were trained, or their networks were not looked at."""
    known = list(_trained(record).values())
    if len(known) < FEWEST:
        return None
    quality = ranks(np.array([goodness for _, goodness in known]))
    looks = places([proxies for proxies, _ in known])
    found = {name: _correlation(ranked, quality) for name, ranked in looks.items()}
    told = {name: value for name, value in found.items() if value is not None}
    if not told:
        return None
    mean = np.mean(list(looks.values()), axis=0)
    together = _correlation(ranks(mean), quality) if len(looks) > 1 else None
    return Foretold(students=len(known), proxies=told, together=together)


def _trained(record: StudyRecord) -> dict[tuple[object, str], tuple[Mapping[str, float], float]]:
    """By network that was trained: its proxies, and the best quality of any of its trainings."""
    scale = QualityScale.of_record(record)
    found: dict[tuple[object, str], tuple[Mapping[str, float], float]] = {}
    for evaluation in (trial.evaluation for trial in complete_trials(record)):
        candidate, quality = evaluation.candidate, _quality(evaluation, record.quality)
        if candidate.recipe is None or not evaluation.untrained.proxies or quality is None:
            continue
        network = candidate.student, candidate.sparsity
        new = evaluation.untrained.proxies, scale.goodness(quality)
        found[network] = max(found.get(network, new), new, key=itemgetter(1))
    return found


def _quality(evaluation: Evaluation, metric: str) -> float | None:
    """Before quantization, where that is known."""
    if evaluation.float_quality is not None:
        return evaluation.float_quality
    quantity = evaluation.metrics.get(metric)
    return None if quantity is None else quantity.value


def _correlation(one: Floats, other: Floats) -> float | None:
    """None where one of them is constant."""
    return float(np.corrcoef(one, other)[0, 1]) if one.std() > 0 and other.std() > 0 else None
