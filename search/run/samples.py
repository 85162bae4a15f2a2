"""Samples that travel with an artifact, taken now where the study has kept none of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ...profiles.errors import ParetuneError, UserError
from ..evaluation.travelling import sampled
from ..ranking.as_run import artifact_of
from ..ranking.known import TEST
from ..record.digest import digest_of
from ..record.evaluation import Outcome, StudyRecord
from ..record.progress import Progress
from ..stages.chain import Chain
from ..store.opening import entry_in
from .restore import chain_of, job_of


@dataclass(frozen=True, kw_only=True)
class SamplesHad:
    """The record, naming a store that has the samples under `key` (empty: the finalist's own). `why_not` says
    why there are none."""

    record: StudyRecord
    key: str = ""
    why_not: str = ""


def with_samples(path: Path, record: StudyRecord, number: int, progress: Progress) -> SamplesHad:
    """The samples of a complete trial, whose artifact is in the record's store. Where the study kept none of
    it, it is asked for a few samples of test, as the study file has them, on the study's device. `path` is
    the study file or the run's directory. Whatever is in the way is no error, but `why_not`."""
    trial = next((t for t in record.trials if t.number == number), None)
    if trial is not None and trial.duplicate_of is not None:
        trial = next((t for t in record.trials if t.number == trial.duplicate_of), None)
    if trial is None or trial.evaluation.outcome is not Outcome.COMPLETE:
        return SamplesHad(record=record)
    if _has_own(record, trial.number):
        return SamplesHad(record=record)
    missed = f"the study has kept no samples of trial {trial.number}"
    progress.note(f"{missed}: they are taken")
    try:
        job, kind = job_of(path, missed, estimate=record.estimated is not None)
        key, setting = artifact_of(record, trial.number)
        with chain_of(job, kind, progress) as chain:
            compiled = chain.artifact(trial.evaluation, setting)
            if compiled.key != key or not _same_data(chain, record, trial.number):
                return SamplesHad(record=record, why_not="the workload or its data have changed since")
            entry = sampled(chain, trial.evaluation.candidate, compiled, setting=setting)
    except ParetuneError as error:
        said = error.problem if isinstance(error, UserError) else str(error)
        return SamplesHad(record=record, why_not=f"they could not be taken: {said.splitlines()[0]}")
    return SamplesHad(record=replace(record, store=job.places.store_name), key=entry.key)


def _has_own(record: StudyRecord, number: int) -> bool:
    own = next((one.samples for one in record.finalists if one.number == number), "")
    return bool(own) and entry_in(record.store, "samples", own) is not None


def _same_data(chain: Chain, record: StudyRecord, number: int) -> bool:
    """Whether the test split is that on which a finalist was scored, as far as its score tells."""
    split, digest = chain.models.split(TEST)
    for one in record.finalists:
        score = one.metrics.get(record.quality)
        known = score.by_sample if score is not None and one.number == number else None
        if known is not None and known.count == len(split):
            return known.samples == digest_of((digest, chain.models.metric.digest))[:16]
    return True
