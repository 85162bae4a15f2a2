"""Outputs of an artifact for the same samples, then and now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from ...profiles.quantity import Quantity
from ..checks.evidence import Evidence, Question, skipped
from ..checks.shares import share_beyond
from ..checks.tolerances import Tolerances
from ..record.agreement import Agreement
from ..record.checks import DECISIONS, OUTPUTS, Scale
from ..stages.device.judged import judged
from ..workload.decisions import flipped
from .recorded import RecordedSamples
from .shipped import Array, Shipped

RECORDED = "recorded"


@dataclass(frozen=True, kw_only=True)
class Alike:
    """What both sides have in common: `same_numbers` where versions of the runtime and instruction sets are
    the same, so that not a bit should differ; `saturates` where one of both processors adds 8-bit products in
    16 bits and the other does not."""

    same_numbers: bool = False
    saturates: bool = False


def numerics(
    one: Shipped,
    recorded: RecordedSamples,
    now: Mapping[str, Array],
    alike: Alike,
    tolerances: Tolerances,
) -> tuple[Evidence, Evidence]:
    """Whether the outputs are those that were recorded, as far as the precision lets processors differ, and
    how many decisions have flipped."""
    choice = replace(recorded.choice, scored=recorded.choice.names)
    said = {"precision": str(one.precision)}
    agreement = judged(said, recorded.outputs, [now], choice, saturates=alike.saturates, here=RECORDED)
    if agreement.samples != recorded.count and not agreement.why:
        agreement = replace(
            agreement,
            agrees=False,
            worst_allowed=0.0,
            why=f"it gives {agreement.samples} rows for {recorded.count} samples",
        )
    if _misfits(agreement):
        why = skipped(_question(one, tolerances), "its outputs cannot be compared")
        return _outputs(one, agreement, False, alike, tolerances), why
    found = choice.by_name(now)
    same = _bits_alike(recorded.outputs, found)
    then, targets = recorded.outputs[choice.primary], recorded.targets
    flips = flipped(then, found[choice.primary], targets, classes=recorded.classes)
    return _outputs(one, agreement, same, alike, tolerances), _decisions(one, flips, tolerances)


def _bits_alike(recorded: Mapping[str, Array], now: Mapping[str, Array]) -> bool:
    return all(
        np.array_equal(array, now[name], equal_nan=array.dtype.kind == "f")
        for name, array in recorded.items()
    )


def _outputs(
    one: Shipped, agreement: Agreement, same: bool, alike: Alike, tolerances: Tolerances
) -> Evidence:
    tolerance = tolerances.of(OUTPUTS)
    question = Question(subject=one.name, metric=OUTPUTS, tolerance=tolerance, higher=False)
    allowed = tolerance.amount if tolerance.stated else agreement.worst_allowed
    beyond = agreement.worst > allowed if tolerance.stated and not _misfits(agreement) else None
    failed = not agreement.agrees if beyond is None else beyond
    found = None if _misfits(agreement) else Quantity(value=agreement.worst, how="of a single sample")
    return Evidence(
        question=question,
        scale=Scale.DIFFERENCE,
        loss=agreement.worst,
        margin=allowed,
        p=0.0 if failed else 1.0,
        unchanged=same,
        expected=Quantity(value=0.0),
        found=found,
        change=found,
        reason=_reason(agreement, same, alike),
    )


def _misfits(agreement: Agreement) -> bool:
    """Nothing could be compared: another form, numbers that are none."""
    return not agreement.agrees and not agreement.worst_allowed


def _reason(agreement: Agreement, same: bool, alike: Alike) -> str:
    if same:
        return f"bit for bit as recorded, on {agreement.samples} samples"
    if agreement.why or agreement.known:
        return agreement.why or agreement.known
    said = f"within what the precision lets processors differ, on {agreement.samples} samples"
    if alike.same_numbers:
        return f"{said}; not bit for bit, though versions and instruction sets are the same"
    return said


def _decisions(one: Shipped, flips: tuple[int, int] | None, tolerances: Tolerances) -> Evidence:
    question = _question(one, tolerances)
    if flips is None:
        return skipped(question, "its outputs score no classes: no decision can flip")
    return share_beyond(question, *flips)


def _question(one: Shipped, tolerances: Tolerances) -> Question:
    tolerance = tolerances.of(DECISIONS)
    return Question(subject=one.name, metric=DECISIONS, tolerance=tolerance, higher=False)
