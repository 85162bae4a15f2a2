"""All of a study's record but its trials, as the study keeps it: written so that it can be read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ...profiles.passwords import without_passwords
from ..record.evaluation import STUDY_RECORD, StudyRecord
from ..record.finite import finite
from ..record.kept import UNREADABLE
from ..record.plausible import LARGEST, doubt
from .trial_records import storable

_KEPT_APART: dict[str, Any] = {"trials": (), "importances": {}}
"""Fields that are not written: trials are kept one by one, importances follow from them."""


def written(frame: StudyRecord) -> str:
    """The text that a study keeps; a remark names each number that is none and was left out."""
    audit = tuple(replace(one, evaluation=storable(one.evaluation, ())) for one in frame.audit)
    kept = _sound(replace(frame, audit=audit, **_KEPT_APART))
    plain = STUDY_RECORD.dump_python(kept, mode="json", exclude=set(_KEPT_APART))
    return json.dumps(plain, allow_nan=False)


def read(text: Any) -> StudyRecord | None:
    """The record without its trials, None where the text is none that can be read."""
    try:
        found = STUDY_RECORD.validate_python({**json.loads(text), **_KEPT_APART})
    except UNREADABLE:
        return None
    # What earlier versions wrote may have a password in it.
    return _sound(replace(found, study_text=without_passwords(found.study_text)))


def _sound(frame: StudyRecord) -> StudyRecord:
    """The record without what no report could be made of; a remark names each."""
    kept, lost = finite(frame)
    said = [f"a number that is none was left out of the record: {what}" for what in lost]
    changed: dict[str, Any] = {}
    for name in ("finalists", "audit"):
        wrong = {one.number: why for one in getattr(kept, name) if (why := doubt(one))}
        changed[name] = tuple(one for one in getattr(kept, name) if not doubt(one))
        said += [f"#{number} was left out of the {name}: {why}" for number, why in wrong.items()]
    for name in ("reference_on_test", "timing"):
        if why := doubt(getattr(kept, name)):
            changed[name] = None
            said.append(f"{name} was left out of the record: {why}")
    weighed = tuple(
        one if 0 <= one.weight <= LARGEST else replace(one, weight=1.0) for one in kept.objectives
    )
    if weighed != kept.objectives:
        said.append("a weight that is none was left out of the record")
    changed["objectives"] = weighed
    changed["counters"] = {name: value for name, value in kept.counters.items() if abs(value) <= LARGEST}
    changed["teacher"] = _teacher(kept.teacher)
    return replace(kept, **changed, remarks=tuple(dict.fromkeys((*kept.remarks, *said))))


def _teacher(facts: dict[str, Any]) -> dict[str, Any]:
    """What is known of the teacher; its quality as numbers by their splits."""
    quality = facts.get("quality")
    numbers = quality.items() if isinstance(quality, dict) else ()
    kept = {
        split: value for split, value in numbers if isinstance(value, int | float) and abs(value) <= LARGEST
    }
    return {**facts, "quality": kept} if "quality" in facts else facts
