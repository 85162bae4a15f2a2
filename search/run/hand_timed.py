"""Which artifacts the rows of a file of timings are about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...profiles.errors import UserError
from ...profiles.words import listed
from ..job.measurements import HandTimed
from ..record.estimated import Brought
from ..record.evaluation import TrialRecord

SHOWN = 12
"""Digits of a key that tell artifacts apart."""


class Named:
    """The artifacts of a study by their keys and by the numbers of their trials. With timings a study is
    begun anew, so that its trials have other numbers: those by which timings were brought `before` stay what
    they meant."""

    def __init__(self, complete: Iterable[TrialRecord], before: Sequence[Brought]) -> None:
        evaluations = [(trial.number, trial.evaluation) for trial in complete]
        self._known = {
            evaluation.artifact_key: Brought(
                candidate=evaluation.candidate,
                artifact=evaluation.artifact_key,
                metrics={},
                estimate=evaluation.metrics.get("latency_ms"),
            )
            for _, evaluation in evaluations
        }
        self._known |= {one.artifact: one for one in before}
        self._numbers = {one.trial: one.artifact for one in before if one.trial is not None}
        self._begun_anew = bool(before)
        if not self._begun_anew:
            self._numbers = {number: evaluation.artifact_key for number, evaluation in evaluations}

    def brought(self, artifact: str) -> Brought:
        """An artifact, with what it was estimated at before anything was timed."""
        return self._known[artifact]

    def artifact(self, row: HandTimed) -> str:
        """The key of the artifact that a row is about.

        Raises:
            UserError: there is none, there are several, or its two names are those of two.
        """
        by_key = self._by_key(row) if row.artifact else ""
        by_trial = "" if row.trial is None else self._numbers.get(row.trial, "")
        if by_key and by_trial and by_key != by_trial and not self._begun_anew:
            raise UserError(
                f"trial {row.trial} and the artifact beside it are not the same",
                place=row.place,
                found=f"trial {row.trial} has the artifact {by_trial[:SHOWN]}, the row {by_key[:SHOWN]}",
                remedy="leave one of them out",
            )
        if not by_key and not by_trial:
            raise self._unknown(row)
        return by_key or by_trial

    def _by_key(self, row: HandTimed) -> str:
        found = [key for key in self._known if key.startswith(row.artifact)]
        if len(found) == 1:
            return found[0]
        raise UserError(
            "several artifacts begin like this" if found else "no artifact of this study has this key",
            place=row.place,
            found=row.artifact[:64],
            accepted=listed(sorted(key[:SHOWN] for key in self._known), 12),
        )

    def _unknown(self, row: HandTimed) -> UserError:
        if self._begun_anew:
            return UserError(
                f"which artifact trial {row.trial} is cannot be told: the study was begun anew with timings, "
                "and its trials have other numbers",
                place=row.place,
                accepted="the artifact's key in a column `artifact`: the report has it, and `to-measure`",
            )
        return UserError(
            f"trial {row.trial} of this study has no artifact",
            place=row.place,
            accepted=listed(self._numbers, 12) or "none is complete",
        )
