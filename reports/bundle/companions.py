"""What travels in a bundle beside the artifact, so that it can be checked elsewhere: samples with their
outputs, and an artifact that latency is told against."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ...profiles.quantity import Quantity
from ...search.ranking.as_run import artifact_of, gain
from ...search.ranking.known import complete_trials, known_metrics, reference_trial, trial_of
from ...search.record.evaluation import StudyRecord, TrialRecord
from ...search.record.setting import Setting
from ...search.store.opening import entry_in
from ...search.store.store import Entry

LARGEST_REFERENCE = 64 * 2**20
"""Bytes of an artifact that travels beside another one without being asked for."""
NOT_ASKED = "left out as asked"


@dataclass(frozen=True, kw_only=True)
class Beside:
    """What is asked for beside the artifact. `samples`: the key of samples in the store where the record has
    none of this trial (""), None for none at all. `without` says why there are none. `reference`: True in any
    case, False for none; None where it is not too large."""

    samples: str | None = ""
    without: str = ""
    reference: bool | None = None


USUAL = Beside()


@dataclass(frozen=True, kw_only=True)
class Companion:
    """An artifact that latency is told against: what a sample takes in the bundle's own as a share of what it
    takes in this one, and what a run of this one took."""

    trial: TrialRecord
    entry: Entry
    setting: Setting
    ratio: Quantity
    latency_ms: Quantity | None


def samples_of(record: StudyRecord, number: int, asked: Beside) -> tuple[Entry | None, str]:
    """A trial's samples, or why there are none."""
    if asked.samples is None:
        return None, asked.without or NOT_ASKED
    own = next((one.samples for one in record.finalists if one.number == number), "")
    key = asked.samples or own
    found = entry_in(record.store, "samples", key) if key else None
    if found is not None:
        return found, ""
    kept = "the store no longer has them" if key else "the study kept none of this trial"
    return None, asked.without or f"{kept}: `paretune export` takes them"


def reference_of(record: StudyRecord, number: int, asked: Beside) -> tuple[Companion | None, str]:
    """What a trial's latency is told against, or why there is nothing: the uncompressed teacher, where that
    is too large to travel the strongest simple choice, and for the teacher itself another candidate."""
    if asked.reference is False:
        return None, NOT_ASKED
    if record.estimated is not None:
        return None, "nothing was measured"
    reasons = []
    for ratio, other in _measured_against(record, number):
        companion = _companion(record, other, ratio)
        reason = _why_not(companion, asked)
        if companion is not None and not reason:
            return companion, ""
        reasons.append(f"trial {other}: {reason}")
    return None, "; ".join(reasons) or "its latency was told against no other artifact"


def _why_not(companion: Companion | None, asked: Beside) -> str:
    if companion is None:
        return "the store no longer has its artifact"
    size = companion.entry.meta["artifact"]["size_bytes"]
    if size <= LARGEST_REFERENCE or asked.reference:
        return ""
    return f"it takes {size / 2**20:.0f} MB, which `paretune export --reference` takes along"


def _measured_against(record: StudyRecord, number: int) -> list[tuple[Quantity, int]]:
    """Which trials it was timed against, the best known first, with its time per sample over theirs."""
    reference, simple = reference_trial(record), record.baseline
    if reference is None:
        return []
    if reference.number == number:  # the others were timed against it
        finalists, complete = record.finalists, complete_trials(record)
        numbers = (*(one.number for one in finalists), *(trial.number for trial in complete))
        others = dict.fromkeys((simple, *numbers))
        known = {n: known_metrics(record, n)[0] for n in others if n is not None and n != number}
        return [(_inverted(m["latency_ratio"]), n) for n, m in known.items() if "latency_ratio" in m]
    own = known_metrics(record, number)[0].get("latency_ratio")
    to_simple = next((one.ratio_to_baseline for one in record.finalists if one.number == number), None)
    found = [(own, reference.number), (to_simple, simple if simple != reference.number else None)]
    return [(ratio, n) for ratio, n in found if ratio is not None and n not in (None, number)]


def _inverted(ratio: Quantity) -> Quantity:
    return replace(gain(ratio), how=f"the inverse of: {ratio.how}")


def _companion(record: StudyRecord, number: int, ratio: Quantity) -> Companion | None:
    key, setting = artifact_of(record, number)
    entry = entry_in(record.store, "compile", key)
    if entry is None:
        return None
    reference = reference_trial(record)
    if reference is not None and reference.number == number:
        # It is run as the study runs all while others are told against it, however it would be deployed.
        own = entry_in(record.store, "compile", reference.evaluation.artifact_key)
        entry, setting = own or entry, None
    usual = Setting(threads=int(entry.meta.get("threads", 1)), batch=int(entry.meta.get("batch", 1)))
    return Companion(
        trial=trial_of(record, number),
        entry=entry,
        setting=setting or usual,
        ratio=replace(ratio, by_sample=None),
        latency_ms=known_metrics(record, number)[0].get("latency_ms"),
    )
