"""The artifacts of a run as its store has them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...backends.contract.backend import Array
from ...profiles.errors import UserError
from ...profiles.precision import Precision
from ...profiles.words import listed, one_line
from ..ranking.as_run import artifact_of
from ..ranking.known import complete_trials, trial_of
from ..ranking.ranking import rank
from ..record.evaluation import Evaluation, Outcome, StudyRecord
from ..record.progress import Progress
from ..record.setting import Setting
from ..run.restore import with_artifact
from ..stages.device.arrays_file import read_arrays
from ..store.opening import entry_in
from ..store.store import Entry

_NUMBER = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, kw_only=True)
class KeptArtifact:
    """An artifact's file, how it is deployed, and what it was made of. `described` is what its compiler said
    of it, `sample` one batch of inputs; `source` is the key of its float model's export."""

    number: int
    evaluation: Evaluation
    file: Path
    setting: Setting
    store: str
    described: Mapping[str, Any] = field(default_factory=dict)
    sample: Mapping[str, Array] = field(default_factory=dict)
    source: str = ""

    @property
    def title(self) -> str:
        """What checks call it."""
        return f"trial {self.number}"

    @property
    def backend(self) -> str:
        """The runtime that opens it."""
        return self.evaluation.candidate.backend

    @property
    def precision(self) -> Precision:
        """That of its weights."""
        return self.evaluation.candidate.precision


def read_numbers(text: str | None) -> tuple[int, ...]:
    """The trials that a user named: "3,7".

    Raises:
        UserError: these are no numbers.
    """
    parts = [part.strip() for part in (text or "").split(",") if part.strip()]
    if text is not None and (not parts or not all(_NUMBER.fullmatch(part) for part in parts)):
        found = one_line(repr(text), 80)
        raise UserError("cannot read these trials", place="--trials", found=found, accepted="numbers: 3,7")
    return tuple(map(int, parts))


def chosen_trials(record: StudyRecord, wanted: Sequence[int] = ()) -> tuple[int, ...]:
    """The trials of these numbers; without any, the finalists on the front, else the front.

    Raises:
        UserError: there is no such trial, it has no artifact, or no trial has one.
    """
    if wanted:
        return tuple(dict.fromkeys(_own_number(record, number) for number in wanted))
    order = rank(record).entries
    front = [entry.number for entry in order if entry.on_front]
    confirmed = {one.number for one in record.finalists if not one.failed}
    found = [number for number in front if number in confirmed] or front
    found = found or [entry.number for entry in order]
    if not found:
        raise UserError("no trial of this study has an artifact", found=record.stopped or "no complete trial")
    return tuple(found)


def _own_number(record: StudyRecord, number: int) -> int:
    with suppress(KeyError):
        trial = trial_of(record, number)
        if trial.evaluation.outcome is Outcome.COMPLETE:
            return number if trial.duplicate_of is None else trial.duplicate_of
        raise UserError(
            f"trial {number} has no artifact",
            place="--trials",
            found=f"it ended as {trial.evaluation.outcome.value}",
            accepted=_with_artifacts(record),
        )
    raise UserError(f"there is no trial {number}", place="--trials", accepted=_with_artifacts(record))


def _with_artifacts(record: StudyRecord) -> str:
    return f"complete trials: {listed([str(trial.number) for trial in complete_trials(record)]) or 'none'}"


def kept_artifacts(
    path: Path, record: StudyRecord, numbers: Sequence[int], progress: Progress
) -> tuple[KeptArtifact, ...]:
    """The artifacts of these trials; what the store has lost is made again.

    Raises:
        UserError: one is lost and cannot be made again.
    """
    found = []
    for number in numbers:
        record = with_artifact(path, record, number, progress)
        key, setting = artifact_of(record, number)
        entry = entry_in(record.store, "compile", key)
        if entry is None:
            raise UserError(
                f"the store has no artifact of trial {number}", place=record.store, found=key[:12]
            )
        found.append(_kept(trial_of(record, number).evaluation, number, entry, setting, record.store))
    return tuple(found)


def _kept(
    evaluation: Evaluation, number: int, entry: Entry, setting: Setting | None, store: str
) -> KeptArtifact:
    meta = entry.meta
    usual = Setting(threads=int(meta.get("threads", 1)), batch=int(meta.get("batch", 1)))
    return KeptArtifact(
        number=number,
        evaluation=evaluation,
        file=entry.file(meta["file"]),
        setting=setting or usual,
        store=store,
        described=meta["artifact"],
        sample=entry.read(meta["sample"], read_arrays) if meta.get("sample") else {},
        source=str(entry.provenance.get("source", "")),
    )
