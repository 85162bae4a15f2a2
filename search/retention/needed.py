"""Which entries of a store a run needs, and why."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from ..ranking.as_run import artifact_of
from ..ranking.known import complete_trials, reference_trial
from ..ranking.ranking import rank
from ..record.evaluation import Evaluation, StudyRecord
from ..record.training import DISTILL, PRUNE
from ..record.treatment import QAT
from ..store.contents import Stored

FRONT, FINALIST, BASELINE, REFERENCE = "front", "finalists", "strongest simple choice", "reference"
BUNDLE, RESUMED = "bundles", "may go on"
_MADE_ANEW = {DISTILL, PRUNE, QAT, "export", "compile", "make", "tune"}
"""Stages of other models: those made from what is kept are not kept for that."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What a run needs: the numbers of its trials by the reason, and the keys of entries that these name."""

    trials: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    keys: frozenset[str] = frozenset()


def needs_of(record: StudyRecord, bundles: Mapping[int, str], *, whole: bool) -> Needs:
    """What a study needs. `bundles` are the keys of the artifacts in its bundles, by trial. `whole`: it may
    go on, so that it needs whatever any of its trials is made of."""
    reasons = _reasons(record, bundles, whole=whole)
    numbers = {number for of_reason in reasons.values() for number in of_reason}
    keys = set(bundles.values())
    for trial in record.trials:
        if trial.number in numbers:
            keys |= _keys_of(trial.evaluation)
        keys |= {stage.key for stage in trial.evaluation.stages if stage.name == "tune"}  # dear, and small
    for number in {trial.number for trial in complete_trials(record)} & numbers:
        keys.add(artifact_of(record, number)[0])
    if whole:
        keys |= {key for audited in record.audit for key in _keys_of(audited.evaluation)}
    return Needs(trials=reasons, keys=frozenset(keys - {""}))


def _reasons(
    record: StudyRecord, bundles: Mapping[int, str], *, whole: bool
) -> Mapping[str, tuple[int, ...]]:
    reference = reference_trial(record)
    finalists = (*record.finalists, *record.unconfirmed)
    found: dict[str, Iterable[int]] = {
        FRONT: (entry.number for entry in rank(record).entries if entry.on_front),
        FINALIST: (one.number for one in finalists),
        BASELINE: () if record.baseline is None else (record.baseline,),
        REFERENCE: () if reference is None else (reference.number,),
        BUNDLE: bundles,
        RESUMED: (trial.number for trial in record.trials) if whole else (),
    }
    return {reason: numbers for reason, of in found.items() if (numbers := tuple(sorted(set(of))))}


def _keys_of(evaluation: Evaluation) -> set[str]:
    return {stage.key for stage in evaluation.stages} | {evaluation.artifact_key}


def with_causes(entries: Iterable[Stored], keys: frozenset[str]) -> frozenset[str]:
    """The keys with those of all that they were made from, and of what was asked of them: scores with their
    outputs, measurements, the teacher's outputs."""
    made_from = {entry.key: frozenset(entry.made_from.values()) for entry in entries}
    found = set(_causes(made_from, keys))
    asked = (e for e in entries if e.stage not in _MADE_ANEW and not found.isdisjoint(made_from[e.key]))
    return frozenset(found | {entry.key for entry in asked})


def _causes(made_from: Mapping[str, frozenset[str]], keys: frozenset[str]) -> Iterator[str]:
    seen: set[str] = set()
    waiting = list(keys)
    while waiting:
        key = waiting.pop()
        if key not in seen:
            seen.add(key)
            yield key
            waiting += made_from.get(key, ())
