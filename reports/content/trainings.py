"""Which trainings a study did, and what they took: read from the record alone."""

from __future__ import annotations

from collections.abc import Iterator

from ...search.record.evaluation import Outcome, StudyRecord, TrialRecord
from ...search.record.training import TRAINING_STAGES, NeededTraining, needed, trainings_ended


def own_trials(record: StudyRecord) -> Iterator[TrialRecord]:
    """The trials that evaluated something, without those that an earlier one has answered."""
    return (trial for trial in record.trials if trial.duplicate_of is None)


def finished(trial: TrialRecord) -> frozenset[NeededTraining]:
    """The trainings that were done to the end once this trial had ended."""
    wanted = needed(trial.evaluation.candidate)
    if trial.evaluation.outcome is Outcome.COMPLETE:
        return frozenset(wanted)
    names = {stage.name for stage in trainings_ended(trial.evaluation)}
    return frozenset(training for training in wanted if training.kind in names)


def training_seconds(trial: TrialRecord) -> float:
    """Seconds that a trial spent on training itself, also on training it for its precision."""
    if trial.duplicate_of is not None:
        return 0.0
    learnt = (stage for stage in trial.evaluation.stages if stage.name in TRAINING_STAGES)
    return sum(stage.seconds for stage in learnt if not stage.cached)
