"""The study's own storage: what is told when a number that the search needs is missing."""

from __future__ import annotations

import time
from pathlib import Path

import optuna
from optuna.trial import TrialState
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, Quantity
from paretune.search.storage.study_store import StudyStore
from paretune.search.storage.url import StorageUrl


def test_a_missing_objective_fails_the_trial_and_not_the_study(tmp_path: Path) -> None:
    """A p90 is not given where runs depend on each other too much; the search must live with that."""
    store = StudyStore.create_or_resume(
        url=StorageUrl.of_file(tmp_path / "study.db"),
        name="s",
        problem={},
        objectives={"accuracy": True, "latency_p90_ms": False},
        sampler=optuna.samplers.RandomSampler(seed=0),
    )
    known = {"accuracy": Quantity(value=0.9), "latency_ms": Quantity(value=1.0)}
    evaluation = Evaluation(
        candidate=Candidate(backend="ort", precision=Precision.FP32), outcome=Outcome.COMPLETE, metrics=known
    )
    told = store.tell(store.study.ask(), evaluation, time.time())
    assert (told.evaluation.outcome, told.evaluation.stage) == (Outcome.FAILED, "measure")
    assert told.evaluation.cause.startswith("latency_p90_ms could not be told, and it is an objective")
    assert store.study.trials[0].state is TrialState.FAIL
    assert store.records()[0].evaluation == told.evaluation
    whole = Evaluation(
        candidate=evaluation.candidate,
        outcome=Outcome.COMPLETE,
        metrics={**known, "latency_p90_ms": Quantity(value=1.1)},
    )
    assert store.tell(store.study.ask(), whole, time.time()).evaluation == whole
    assert store.study.trials[1].values == [0.9, 1.1]
