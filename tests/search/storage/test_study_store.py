"""The study's own storage: what is told when a number that the search needs is missing."""

from __future__ import annotations

import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, Quantity
from paretune.search.storage.same_problem import evaluated_before
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


def reopened(folder: Path, problem: dict[str, object]) -> StudyStore:
    return StudyStore.create_or_resume(
        url=StorageUrl.of_file(folder / "study.db"),
        name="s",
        problem=problem,
        objectives={"accuracy": True, "latency_ms": False},
        sampler=optuna.samplers.RandomSampler(seed=0),
    )


ESTIMATED = {"device": "pi", "estimate": "the profile"}


@pytest.mark.parametrize(
    ("before", "now", "trials"),
    [
        (ESTIMATED, ESTIMATED, 1),
        (ESTIMATED, {**ESTIMATED, "estimate": "ten timings"}, 0),
        (ESTIMATED, {"device": "other", "estimate": "ten timings"}, None),
        (ESTIMATED, {"device": "pi"}, None),  # measured by now
        ({"device": "pi"}, ESTIMATED, None),
    ],
)
def test_a_study_of_estimates_is_begun_anew_where_they_rest_on_more(tmp_path, before, now, trials):
    store = reopened(tmp_path, before)
    known = {"accuracy": Quantity(value=0.9), "latency_ms": Quantity(value=1.0, provenance="estimated")}
    candidate = Candidate(backend="ort", precision=Precision.FP32)
    store.tell(
        store.study.ask(), Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=known), 0.0
    )
    store.close()
    url = StorageUrl.of_file(tmp_path / "study.db")
    if trials is None:
        with pytest.raises(UserError, match="another problem"):
            evaluated_before(url, "s", now, own=True)
        with pytest.raises(UserError, match="another problem"):
            reopened(tmp_path, now)
        return
    assert evaluated_before(url, "s", now, own=True) == trials
    again = reopened(tmp_path, now)
    assert len(again.records()) == trials
    again.close()
