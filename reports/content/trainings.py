"""What the trainings of a study took: read from the record alone."""

from __future__ import annotations

from collections.abc import Iterator

from ...search.record.evaluation import StudyRecord, TrialRecord
from ...search.record.training import TRAINING_STAGES, trainings_ended, trainings_met


def own_trials(record: StudyRecord) -> Iterator[TrialRecord]:
    """The trials that evaluated something, without those that an earlier one has answered."""
    return (trial for trial in record.trials if trial.duplicate_of is None)


def trainings_done(trial: TrialRecord) -> int:
    """How many trainings a trial did to the end, beside those that it took from the store."""
    return sum(not stage.cached for stage in trainings_ended(trial.evaluation))


def last_training_seconds(trial: TrialRecord) -> float:
    """Seconds spent on the last training that an evaluation met; on the one given up where it was stopped."""
    met = trainings_met(trial.evaluation)
    return met[-1].seconds if met and not met[-1].cached else 0.0


def training_seconds(trial: TrialRecord) -> float:
    """Seconds that a trial spent on training itself, also on training it for its precision."""
    if trial.duplicate_of is not None:
        return 0.0
    learnt = (stage for stage in trial.evaluation.stages if stage.name in TRAINING_STAGES)
    return sum(stage.seconds for stage in learnt if not stage.cached)
