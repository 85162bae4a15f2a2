from __future__ import annotations

from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import Evaluation, Outcome, StageRecord, StudyRecord, TrialRecord
from paretune.search.record.training import needed, training_key, trainings_ended, trainings_met, went_on

RECIPE = Recipe(epochs=12, finetune_epochs=4)


def candidate(width: float | None, sparsity: str = "dense", **changes: object) -> Candidate:
    fields = {"backend": "ort", "precision": Precision.FP32, "recipe": RECIPE, **changes}
    return Candidate(student=(("width", width),) if width else (), sparsity=sparsity, **fields)


def test_trainings_that_a_candidate_needs() -> None:
    assert needed(candidate(None)) == ()
    both = needed(candidate(0.5, "channel:0.3"))
    assert [(t.kind, t.title, t.epochs) for t in both] == [
        ("distill", "width=0.5", 12), ("prune", "width=0.5, channel:0.3", 4),
    ]  # fmt: skip
    (teacher,) = needed(candidate(None, "channel:0.3"))
    assert (teacher.kind, teacher.title) == ("prune", "teacher, channel:0.3")


def test_candidates_that_share_a_model_share_its_trainings() -> None:
    one, other = candidate(0.5), candidate(0.5, precision=Precision.INT8, calibration_method="minmax")
    assert training_key(one) == training_key(other) != training_key(candidate(0.5, "2:4"))
    assert needed(one) == needed(other)


def test_a_training_that_was_given_up_was_met_and_did_not_end() -> None:
    stages = tuple(
        StageRecord(name=name, key=name, cached=False, seconds=1.0)
        for name in ("teacher", "distill", "qat", "prune", "score")
    )
    whole = Evaluation(candidate=candidate(0.5, "2:4"), outcome=Outcome.COMPLETE, stages=stages)
    stopped = Evaluation(
        candidate=candidate(0.5, "2:4"), outcome=Outcome.GATED, stages=stages, stopped_epoch=3
    )
    assert [s.name for s in trainings_met(whole)] == ["distill", "prune"]
    assert trainings_ended(whole) == trainings_met(whole) == trainings_met(stopped)
    assert [s.name for s in trainings_ended(stopped)] == ["distill"]


def test_a_paused_training_went_on_in_the_next_trial_of_its_candidate() -> None:
    paused = Evaluation(candidate=candidate(0.5), outcome=Outcome.GATED, stopped_epoch=3, paused=True)
    ended = Evaluation(candidate=candidate(0.5), outcome=Outcome.COMPLETE)
    left = Evaluation(candidate=candidate(0.75), outcome=Outcome.GATED, stopped_epoch=3, paused=True)
    evaluations = [paused, left, paused, ended]
    trials = tuple(
        TrialRecord(number=number, evaluation=one, started=0.0, seconds=1.0)
        for number, one in enumerate(evaluations)
    )
    known = StudyRecord(
        name="s", study_text="", workload="w", profile="p", quality="accuracy", objectives=(), limits=(),
        trials=trials,
    )  # fmt: skip
    assert went_on(known) == {0: 2, 2: 3}
