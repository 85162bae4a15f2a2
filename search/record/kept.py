"""An evaluation as a trial keeps it: written so that it can be read, and read whatever stands there."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pydantic import TypeAdapter

from ...profiles.errors import UserError
from ...profiles.precision import Precision
from .candidate import Candidate
from .evaluation import EVALUATION, Evaluation, Outcome
from .finite import sound
from .plausible import doubt

KEPT = "evaluation"
"""The attribute of a trial that holds it, as JSON."""
UNREADABLE = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, UserError)
"""What is raised of a text that is no record: by its form, or by the values that it has."""
_CANDIDATE = TypeAdapter(Candidate)


def storable(evaluation: Evaluation) -> Evaluation:
    """The evaluation as it will be read back; `failed` where it holds what cannot be kept."""
    kept = sound(evaluation)
    try:
        if _read(EVALUATION.dump_json(kept, warnings="error")) == kept:
            return kept
        why = "something in it is read back as something else"
    except UNREADABLE as error:
        why = _first_line(error)
    known = Evaluation(candidate=kept.candidate, outcome=Outcome.FAILED, baseline=kept.baseline)
    return replace(known, stage="record", cause=f"what was found cannot be kept: {why}")


def written(evaluation: Evaluation) -> str:
    """The text that a trial keeps of a storable evaluation."""
    return EVALUATION.dump_json(evaluation).decode()


def read(text: Any, number: int) -> Evaluation:
    """The evaluation that trial `number` keeps. Where it cannot be read, it is a failed one that says why and
    is to be tried again: its numbers are lost, the study is not."""
    try:
        return _read(text)
    except UNREADABLE as error:
        cause = f"trial {number} holds a record that cannot be read: {_first_line(error)}"
        lost = Evaluation(candidate=_candidate_in(text, number), outcome=Outcome.FAILED, try_again=True)
        return replace(lost, stage="record", cause=cause, log=str(text)[:1000])


def _read(text: Any) -> Evaluation:
    found = EVALUATION.validate_json(text)
    if wrong := doubt(found):
        raise ValueError(wrong)
    return found


def _candidate_in(text: Any, number: int) -> Candidate:
    """The candidate of a damaged record; one that is like no other where that is lost as well."""
    with suppress(*UNREADABLE):
        return _CANDIDATE.validate_python(json.loads(text)["candidate"])
    return Candidate(backend="unknown", precision=Precision.FP32, student=(("lost record of trial", number),))


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if not line.startswith("    For further")]
    return "; ".join(lines[:3])[:300]
