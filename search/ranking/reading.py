"""A record as it is read: ranked once, with the answer that follows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..record.evaluation import Limit, StudyRecord
from .ranking import Ranked, Ranking, rank
from .verdict import Verdict, verdict


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A record with its candidates in order and the answer to its question; every page shows one of these."""

    record: StudyRecord
    ranking: Ranking
    verdict: Verdict

    @property
    def recommended(self) -> Ranked | None:
        """The candidate that the answer names."""
        number = self.verdict.recommended
        return None if number is None else self.ranking.of(number)


def read(
    record: StudyRecord, where: Sequence[Limit] | None = None, weights: Mapping[str, float] | None = None
) -> Reading:
    """Read a record by the study's own limits and weights, or by others."""
    ranking = rank(record, where, weights)
    return Reading(record=record, ranking=ranking, verdict=verdict(record, ranking))
