"""Evaluations as they are stored."""

from __future__ import annotations

from math import inf

from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import EVALUATION, Evaluation, Outcome
from paretune.search.storage.trial_records import storable


def test_a_limit_on_what_was_not_measured_is_missed_after_reading_too() -> None:
    evaluation = Evaluation(
        candidate=Candidate(backend="ort", precision=Precision.FP32),
        outcome=Outcome.COMPLETE,
        violations={"memory <= 1 MB": inf, "size <= 1 MB": -1.0},
    )
    kept = storable(evaluation, ())
    assert EVALUATION.validate_json(EVALUATION.dump_json(kept)) == kept
    assert not kept.feasible
    assert kept.violations["size <= 1 MB"] == -1.0
