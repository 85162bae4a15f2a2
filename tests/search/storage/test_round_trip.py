"""Whatever an evaluation, a finalist or a whole study holds, it is written so that it can be read again."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from math import isfinite, nan
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import (
    Audited,
    Bound,
    Evaluation,
    Finalist,
    Limit,
    Objective,
    Outcome,
    Proposal,
    Quantity,
    StageRecord,
    StudyRecord,
)
from paretune.search.record.finite import finite
from paretune.search.record.treatment import LadderRung, QatPlan, Treatment
from paretune.search.storage.study_store import StudyStore
from paretune.search.storage.url import StorageUrl

pytestmark = pytest.mark.slow

# Half of the text may hold what no encoding takes, as names of files and messages of others do.
words = st.text(max_size=8) | st.text(st.characters(exclude_categories=()), max_size=4)
numbers = st.floats()  # NaN and the infinities are among them
maybe = st.none() | numbers
counts = st.integers(min_value=0, max_value=2**63)


def some(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(values, max_size=3).map(tuple)


def named(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(words, values, max_size=3)


scalars = st.integers(-(2**40), 2**40) | st.floats(-1e6, 1e6) | st.text("abc_5.", max_size=4) | st.booleans()
candidates = st.builds(
    Candidate,
    backend=st.sampled_from(["ort", "own:Mine"]),
    precision=st.sampled_from(list(Precision)),
    student=st.dictionaries(st.text("abc", min_size=1), scalars, max_size=2).map(lambda d: tuple(d.items())),
)
quantities = st.builds(Quantity, value=numbers, low=maybe, high=maybe, how=words)
metrics = st.dictionaries(st.sampled_from(["accuracy", "latency_ms", "size_bytes"]), quantities)
stages = st.builds(
    StageRecord,
    name=words,
    key=words,
    cached=st.booleans(),
    seconds=numbers,
    curve=some(st.tuples(st.integers(1, 99), numbers)),
)
rungs = st.builds(
    LadderRung,
    name=words,
    predicted_gain=numbers,
    predicted_seconds=numbers,
    seconds=numbers,
    before=numbers,
    after=numbers,
    kept=st.booleans(),
    simulated=maybe,
)
treatments = st.builds(
    Treatment,
    keep_float=some(words),
    qat=st.none() | st.builds(QatPlan, weight_bits=counts, activation_bits=counts, epochs=counts),
)
evaluations = st.builds(
    Evaluation,
    candidate=candidates,
    outcome=st.sampled_from(list(Outcome)),
    metrics=metrics,
    gate=metrics,
    violations=named(numbers),
    reason=words,
    cause=words,
    log=words,
    try_again=st.booleans(),
    stages=some(stages),
    weight_bytes=named(counts),
    notes=some(words),
    bound=st.none() | st.builds(Bound, value=numbers, basis=words),
    proposal=st.none()
    | st.builds(Proposal, by=words, quality=st.none() | quantities, gain=maybe, seconds=maybe),
    ladder=some(rungs),
    treatment=treatments,
    float_quality=maybe,
    zero_share=maybe,
)
finalists = st.builds(
    Finalist,
    number=st.integers(0, 9),
    metrics=metrics,
    ratio_to_baseline=st.none() | quantities,
    side_effects=named(quantities),
)
plain = st.recursive(
    st.none() | st.booleans() | numbers | words, lambda inner: st.lists(inner) | named(inner), max_leaves=4
)
records = st.builds(
    StudyRecord,
    name=words,
    study_text=words,
    workload=words,
    profile=words,
    quality=st.just("accuracy"),
    objectives=st.just((Objective(metric="accuracy", higher_is_better=True),)),
    limits=some(
        st.builds(Limit, text=words, metric=words, upper=st.booleans(), bound=numbers, bound_on_test=maybe)
    ),
    trials=st.just(()),
    finalists=some(finalists),
    environment=named(plain),
    counters=named(numbers),
    teacher=named(plain),
    audit=some(st.builds(Audited, number=st.integers(0, 9), evaluation=evaluations, on_front=st.booleans())),
)
each = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[StudyStore, str]]:
    url = StorageUrl.of_file(tmp_path_factory.mktemp("kept") / "study.db")
    made = StudyStore.create_or_resume(
        url=url, name="s", problem={}, objectives={"accuracy": True}, sampler=optuna.samplers.RandomSampler()
    )
    yield made, url
    made.close()


@each
@given(evaluation=evaluations)
def test_every_evaluation_that_was_told_is_read_back(
    store: tuple[StudyStore, str], evaluation: Evaluation
) -> None:
    told = store[0].tell(store[0].study.ask(), evaluation, time.time())
    read = StudyStore.load(store[1], "s").records()[-1]
    assert read == told
    assert read.evaluation.candidate == evaluation.candidate
    assert finite(read.evaluation)[1] == ()
    sick = any(not isfinite(q.value) for q in (*evaluation.metrics.values(), *evaluation.gate.values()))
    if sick or (evaluation.outcome is Outcome.COMPLETE and "accuracy" not in evaluation.metrics):
        assert read.evaluation.outcome in (Outcome.FAILED, Outcome.REFUSED)
    elif read.evaluation.outcome is Outcome.COMPLETE:
        assert set(read.evaluation.metrics) == set(evaluation.metrics)


@each
@given(record=records)
def test_every_record_that_was_saved_is_read_back(store: tuple[StudyStore, str], record: StudyRecord) -> None:
    store[0].save_frame(record)
    read = replace(StudyStore.load(store[1], "s").unweighed(), trials=())
    assert finite(read)[1] == ()
    store[0].save_frame(read)
    assert replace(store[0].unweighed(), trials=()) == read


def test_a_number_that_is_none_fails_its_trial_by_name(store: tuple[StudyStore, str], tmp_path: Path) -> None:
    evaluation = Evaluation(
        candidate=Candidate(backend="ort", precision=Precision.FP32),
        outcome=Outcome.COMPLETE,
        metrics={"accuracy": Quantity(value=0.5), "size_bytes": Quantity(value=nan)},
    )
    kept = store[0].tell(store[0].study.ask(), evaluation, time.time()).evaluation
    assert kept.outcome is Outcome.FAILED
    assert "metrics.size_bytes.value is nan" in kept.cause
    assert kept.metrics == {"accuracy": Quantity(value=0.5)}
