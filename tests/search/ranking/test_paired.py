"""Scores over the same samples are compared pair by pair wherever two candidates are compared."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from paretune.profiles.precision import Precision
from paretune.profiles.quantity import Quantity
from paretune.reports.pages.write import report_json
from paretune.search.ranking.noise import above_bound, ties_of
from paretune.search.ranking.pareto import dominates, front, tied
from paretune.search.ranking.ranking import rank, worth_it
from paretune.search.ranking.reading import read
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import (
    STUDY_RECORD,
    Evaluation,
    Finalist,
    Limit,
    Objective,
    Outcome,
    StudyRecord,
    TrialRecord,
)
from paretune.search.record.samples import of_hits
from paretune.search.stages.device.interval import wilson

COUNT = 400
RIGHT = np.arange(COUNT) < 390
RELATIVE = Limit(
    text="accuracy >= teacher - 2 pt absolute",
    metric="accuracy",
    upper=False,
    bound=0.955,
    bound_on_test=0.955,
)


def scored(lost: int, gained: int = 0, samples: str = "validation") -> Quantity:
    """What is right as often as `RIGHT`, but on so many samples: intervals of all of them overlap widely."""
    right = RIGHT.copy()
    right[:lost] = False
    right[COUNT - gained :] = True
    share = float(right.mean())
    low, high = wilson(share, COUNT)
    return Quantity(value=share, low=low, high=high, by_sample=of_hits(samples, right))


def q(value: float, half: float) -> Quantity:
    return Quantity(value=value, low=value - half, high=value + half)


def trial(
    number: int, quality: Quantity, latency: float, size: float = 100e3, baseline: bool = False
) -> TrialRecord:
    candidate = Candidate(
        backend="toy",
        precision=Precision.FP32,
        student=() if baseline else (("width", number),),
        recipe=None if baseline else Recipe(epochs=3),
    )
    metrics = {"accuracy": quality, "latency_ms": q(latency, 0.001), "size_bytes": Quantity(value=size)}
    evaluation = Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics, baseline=baseline)
    return TrialRecord(number=number, evaluation=evaluation, started=0.0, seconds=1.0)


def study(*trials: TrialRecord, **more: object) -> StudyRecord:
    objectives = [("accuracy", True), ("latency_ms", False), ("size_bytes", False)]
    values: dict[str, object] = {
        "name": "s",
        "study_text": "",
        "workload": "w.py",
        "profile": "host",
        "quality": "accuracy",
        "objectives": tuple(Objective(metric=m, higher_is_better=up) for m, up in objectives),
        "trials": trials,
        "stopped": "every candidate of the space was evaluated",
        **more,
    }
    return StudyRecord(**values)  # type: ignore[arg-type]


def paired_study(**more: object) -> StudyRecord:
    """The teacher, one that loses on 8 samples and gains on none, and one that loses and gains as many."""
    return study(
        trial(0, scored(0), 1.0, baseline=True),
        trial(1, scored(8), 1.0),
        trial(2, scored(8, 8), 1.0),
        **{"limits": (), **more},
    )


def test_a_loss_within_separate_intervals_is_beyond_error_in_pairs() -> None:
    record = paired_study()
    entries = {entry.number: entry for entry in rank(record).entries}
    assert [entry.number for entry in entries.values() if entry.on_front] == [0, 2]
    assert ties_of(record, rank(record), entries[0]) == (2,)
    assert worth_it(record, entries[0], entries[1]) == ["accuracy"]
    assert worth_it(record, entries[0], entries[2]) == []


def test_without_common_samples_intervals_decide() -> None:
    others = (trial(0, scored(0), 1.0, baseline=True), trial(1, scored(8, samples="other"), 1.0))
    entries = rank(study(*others, limits=())).entries
    assert all(entry.on_front and entry.tie for entry in entries)


def test_the_front_is_what_dominance_of_each_pair_says() -> None:
    rng = random.Random(0)
    points = [
        (scored(rng.randrange(20), rng.randrange(10), rng.choice("ab")), q(rng.random(), 0.05))
        for _ in range(60)
    ]
    points += [(q(0.97, 0.01), q(rng.random(), 0.05)) for _ in range(20)]
    higher = (True, False)
    free = [i for i, b in enumerate(points) if not any(dominates(a, b, higher) for a in points)]
    assert front(points, higher) == free
    assert tied(points[0], points[0])


def verdict_lines(record: StudyRecord) -> str:
    return " ".join(read(record).verdict.lines)


def test_the_verdict_gives_the_difference_with_its_interval() -> None:
    lossy = trial(1, scored(8), 0.5, size=50e3)
    said = verdict_lines(study(trial(0, scored(0), 1.0, baseline=True), lossy, limits=()))
    assert all(part in said for part in ("2 pt lower", f"same {COUNT} samples", "beyond error"))
    even = trial(1, scored(8, 5), 0.5, size=50e3)
    assert "within error" in verdict_lines(study(trial(0, scored(0), 1.0, baseline=True), even, limits=()))


def test_a_limit_against_the_teacher_turns_as_the_paired_difference_does() -> None:
    """1.5 points below the teacher, half a point above the limit: 6 of 400 samples differ, all one way."""
    record = study(
        trial(0, scored(0), 1.0, baseline=True), trial(1, scored(6), 0.5, 50e3), limits=(RELATIVE,)
    )
    entry = rank(record).of(1)
    assert entry is not None
    above = above_bound(record, RELATIVE, entry)
    assert above is not None
    assert above.value == pytest.approx(0.005)
    low, high = above.ends
    assert high - low < 0.75 * (entry.metrics["accuracy"].ends[1] - entry.metrics["accuracy"].ends[0])


def test_on_test_the_teachers_own_score_there_counts() -> None:
    on_test = scored(0, samples="test")
    finalist = Finalist(number=1, metrics={"accuracy": scored(6, samples="test"), "latency_ms": q(0.5, 0.01)})
    record = study(
        trial(0, scored(0), 1.0, baseline=True),
        trial(1, scored(6), 0.5, 50e3),
        limits=(RELATIVE,),
        finalists=(finalist,),
    )
    entry = rank(record).of(1)
    assert entry is not None
    apart = above_bound(record, RELATIVE, entry)
    together = above_bound(replace(record, reference_on_test=on_test), RELATIVE, entry)
    assert apart is not None
    assert together is not None
    assert together.value == pytest.approx(apart.value)
    assert together.ends[1] - together.ends[0] < 0.75 * (apart.ends[1] - apart.ends[0])


def test_a_record_that_was_written_and_read_says_the_same() -> None:
    record = paired_study(reference_on_test=scored(0, samples="test"))
    again = STUDY_RECORD.validate_json(STUDY_RECORD.dump_json(record))
    assert again == record
    assert read(again) == read(record)


def test_report_json_holds_what_scores_are_made_of_once() -> None:
    record = paired_study()
    whole = json.loads(report_json(read(record)))
    assert STUDY_RECORD.validate_python(whole["record"]) == record
    assert all(e["metrics"]["accuracy"]["by_sample"] is None for e in whole["ranking"]["entries"])
