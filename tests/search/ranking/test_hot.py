"""Finalists that were kept at work are compared by what they are when hot."""

from dataclasses import replace

import pytest
from paretune.profiles.precision import Precision
from paretune.search.ranking.hot import hot_lines
from paretune.search.ranking.reading import read
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.deployed import Deployed
from paretune.search.record.evaluation import (
    STUDY_RECORD,
    Evaluation,
    Finalist,
    Limit,
    Objective,
    Outcome,
    Quantity,
    StudyRecord,
    TrialRecord,
)
from paretune.search.record.sustained import Minute, Sustained

FAST = Limit(text="latency <= 2 ms", metric="latency_ms", upper=True, bound=2.0)


def q(value, half=0.0):
    return Quantity(value=value, low=value - half, high=value + half)


def finalist(number, cold, hot, half=0.02, **more):
    kept = Sustained(
        asked_s=600.0,
        seconds=600.0,
        load="full",
        rate=0.0,
        minutes=(Minute(served=9, p50_ms=cold), Minute(served=9, p50_ms=hot, p99_ms=2 * hot)),
        cold={"latency_ms": q(cold, half)},
        hot={"latency_ms": q(hot, half)},
        slowdown=q(hot / cold, 0.01),
        **more,
    )
    metrics = {"accuracy": q(0.98, 0.01), "latency_ms": q(hot, half)}
    return Finalist(number=number, metrics=metrics, deployed=Deployed(sustained=kept))


def study(*finalists, limits=()):
    trials = [
        TrialRecord(
            number=one.number,
            evaluation=Evaluation(
                candidate=Candidate(
                    backend="ort",
                    precision=Precision.FP32,
                    student=(("width", one.number),),
                    recipe=Recipe(epochs=1),
                ),
                outcome=Outcome.COMPLETE,
                metrics={**one.metrics, **one.deployed.sustained.cold, "size_bytes": q(1e5)},
            ),
            started=0.0,
            seconds=1.0,
        )
        for one in finalists
    ]
    objectives = ("accuracy", True), ("latency_ms", False)
    return StudyRecord(
        name="s",
        study_text="",
        workload="w",
        profile="host",
        quality="accuracy",
        objectives=tuple(Objective(metric=name, higher_is_better=up) for name, up in objectives),
        limits=limits,
        trials=tuple(trials),
        finalists=finalists,
        stopped="every candidate of the space was evaluated",
    )


def said(record):
    return hot_lines(record, record.limits)


def test_the_recommended_is_the_one_that_is_faster_when_hot():
    record = study(finalist(0, cold=1.0, hot=1.8), finalist(1, cold=1.2, hot=1.3))
    found = read(record)
    assert found.verdict.recommended == 1
    (turned,) = [line for line in found.verdict.sure if "order changes" in line]
    assert turned.index("#0 is faster than #1 cold") > 0
    assert STUDY_RECORD.validate_json(STUDY_RECORD.dump_json(record)) == record


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (finalist(0, cold=1.0, hot=1.2), finalist(1, cold=1.2, hot=1.5)),  # as cold
        (finalist(0, cold=1.0, hot=1.3, half=0.2), finalist(1, cold=1.1, hot=1.2, half=0.2)),  # within error
        (finalist(0, cold=1.0, hot=1.2), finalist(1, cold=1.1, hot=1.21)),  # not told apart when hot
    ],
)
def test_an_order_that_does_not_turn_beyond_error_is_no_news(one, other):
    assert not any("order changes" in line for line in said(study(one, other)))


def test_a_limit_that_holds_cold_alone_is_missed():
    record = study(finalist(0, cold=1.9, hot=2.3), finalist(1, cold=1.95, hot=1.98), limits=(FAST,))
    assert [entry.feasible for entry in read(record).ranking.entries] == [True, False]
    (lost,) = [line for line in said(record) if "missed when hot" in line]
    assert "#0" in lost


def test_what_does_not_keep_up_is_said_and_nothing_where_it_was_not_asked():
    behind = study(finalist(0, cold=1.0, hot=1.0, kept_up=False), finalist(1, cold=1.1, hot=1.1))
    assert any("#0 does not keep up" in line for line in said(behind))
    plain = replace(behind, finalists=tuple(replace(one, deployed=Deployed()) for one in behind.finalists))
    assert said(plain) == ()
