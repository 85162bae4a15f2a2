"""All of a study's record but its trials, as the study keeps it: written so that it can be read."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from ..record.evaluation import STUDY_RECORD, StudyRecord
from ..record.finite import finite
from .trial_records import storable

_KEPT_APART: dict[str, Any] = {"trials": (), "importances": {}}
"""Fields that are not written: trials are kept one by one, importances follow from them."""


def written(frame: StudyRecord) -> str:
    """The text that a study keeps; a remark names each number that is none and was left out."""
    audit = tuple(replace(one, evaluation=storable(one.evaluation, ())) for one in frame.audit)
    kept, lost = finite(replace(frame, audit=audit, **_KEPT_APART))
    said = tuple(f"a number that is none was left out of the record: {what}" for what in lost)
    kept = replace(kept, remarks=tuple(dict.fromkeys((*kept.remarks, *said))))
    plain = STUDY_RECORD.dump_python(kept, mode="json", exclude=set(_KEPT_APART))
    return json.dumps(plain, allow_nan=False)


def read(text: Any) -> StudyRecord | None:
    """The record without its trials, None where the text is none that can be read."""
    try:
        return STUDY_RECORD.validate_python({**json.loads(text), **_KEPT_APART})
    except (ValueError, TypeError):
        return None
