"""Records in a real database, damaged in any way: read as a record, or refused in one message."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from paretune.search.ranking.reading import read
from paretune.search.record import kept
from paretune.search.record.candidate import Candidate, Recipe
from paretune.search.record.evaluation import (
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
from paretune.search.record.samples import SampleResults
from paretune.search.record.timing import Timing
from paretune.search.record.treatment import LadderRung, QatPlan, Treatment
from paretune.search.storage import frame
from paretune.search.storage.read_only import study_for_reading
from paretune.search.storage.study_store import StudyStore
from paretune.search.storage.trial_records import objectives_of
from paretune.search.storage.url import StorageUrl

OBJECTIVES = {"accuracy": True, "latency_ms": False}


def evaluation(width: int) -> Evaluation:
    """One with something in every field."""
    hits = SampleResults(samples="v", kind="hits", count=8, data="/w==")
    score = Quantity(value=0.5 + width / 10, low=0.4, high=0.9, by_sample=hits)
    rung = LadderRung(
        name="qat", predicted_gain=0.1, predicted_seconds=1.0, seconds=2.0, before=0.5, after=0.6, kept=True
    )
    return Evaluation(
        candidate=Candidate(
            backend="ort",
            precision=Precision.INT8,
            student=(("width", width),),
            sparsity="channel:0.5",
            recipe=Recipe(epochs=3),
            calibration_method="minmax",
            calibration_samples=16,
        ),
        outcome=Outcome.COMPLETE,
        metrics={"accuracy": score, "latency_ms": Quantity(value=1.0 + width, low=1.0, high=9.0)},
        gate={"size_bytes": Quantity(value=1e4)},
        violations={"size <= 1 kB": 9000.0},
        stages=(StageRecord(name="distill", key="k", cached=False, seconds=1.0, curve=((1, 0.5),)),),
        weight_bytes={"int8": 100},
        bound=Bound(value=0.9, basis="relatives", beaten_by=0),
        proposal=Proposal(by="gain", quality=score, gain=0.1, seconds=3.0),
        ladder=(rung,),
        treatment=Treatment(keep_float=("a",), qat=QatPlan(weight_bits=8, activation_bits=8, epochs=1)),
        float_quality=0.6,
        zero_share=0.1,
    )


FRAME = StudyRecord(
    name="s",
    study_text="name: s",
    workload="w",
    profile="p",
    quality="accuracy",
    objectives=tuple(Objective(metric=name, higher_is_better=up) for name, up in OBJECTIVES.items()),
    limits=(Limit(text="size <= 1 kB", metric="size_bytes", upper=True, bound=1000.0),),
    trials=(),
    finalists=(
        Finalist(
            number=1,
            metrics={"accuracy": Quantity(value=0.7), "latency_ms": Quantity(value=2.0)},
            ratio_to_baseline=Quantity(value=0.5, low=0.4, high=0.6),
        ),
    ),
    baseline=0,
    environment={"packages": {"numpy": "2"}},
    counters={"complete": 3.0, "training_seconds": 2.0},
    teacher={"quality": {"validation": 0.9}, "parameters": 10},
    timing=Timing(process_spread=0.01, processes=5, told_apart=0.02),
    budget_trials=3,
)


class Study:
    """Three trials in a database, and their attributes as they were written."""

    def __init__(self, file: Path) -> None:
        self.url = StorageUrl.of_file(file)
        with closing(self._made()) as made:
            for width in range(3):
                made.tell(made.study.ask(), evaluation(width), time.time())
            made.tell_duplicate(made.study.ask(), made.records()[0], time.time())
            made.save_frame(FRAME)
            made.set("spent_seconds", 5.0)
            made.set("ended", json.dumps({"settings": "x", "by_budget": True}))
        self.connection = sqlite3.connect(file, isolation_level=None)
        self.connection.execute("PRAGMA synchronous=OFF")
        self.rows = [
            (table, number, text)
            for table in ("trial_user_attributes", "study_user_attributes", "study_system_attributes")
            for number, text in self.connection.execute(f"SELECT {table[:-1]}_id, value_json FROM {table}")
        ]

    def _made(self) -> StudyStore:
        sampler = optuna.samplers.RandomSampler(seed=0)
        return StudyStore.create_or_resume(
            url=self.url, name="s", problem={}, objectives=OBJECTIVES, sampler=sampler
        )

    def write(self, row: int, text: str) -> None:
        table, number, _ = self.rows[row]
        self.connection.execute(f"UPDATE {table} SET value_json=? WHERE {table[:-1]}_id=?", (text, number))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    made = Study(tmp_path_factory.mktemp("fuzz") / "study.db")
    yield made
    made.connection.close()


@pytest.fixture(scope="module")
def reader(study: Study) -> Iterator[optuna.storages.BaseStorage]:
    """The real reader's storage, opened once: what Optuna does to open it takes the longest."""
    with study_for_reading(study.url, "s") as studies:
        yield studies.study._storage


ODD = st.sampled_from(
    [
        *(None, True, False, "", "x", "nan", "\ud800", "\0", [], {}, [1], [[]], {"": None}, {"value": 1.0}),
        *(0, -1, 1, 2, 99, 2**70, 1e308, -1e308, 1e-320, 0.5, float("nan"), float("inf"), -float("inf")),
        *("complete", "gated", "refused", "failed", "hits", "draws", "AAAA", "latency_ms", "2:4", "a" * 999),
    ]
).map(deepcopy)  # it may be changed further
LIKE = {
    bool: st.booleans(),
    int: st.integers() | st.integers(-2, 20),
    float: st.floats() | st.floats(-2, 2),
    str: st.text(max_size=5)
    | st.sampled_from(["hits", "draws", "gated", "failed", "fp32", "int8", "size_bytes"]),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, one in inner for place in places(one, (*path, key)))]


def changed(draw: st.DrawFn, value: Any) -> Any:
    """The value with something replaced, left out, added or moved."""
    place = draw(st.sampled_from(places(value)))
    if not place:
        return draw(ODD)
    within = value
    for key in place[:-1]:
        within = within[key]
    key = place[-1]
    how = draw(st.sampled_from(["alike", "alike", "odd", "drop", "add", "move"]))
    if how == "alike":
        within[key] = draw(LIKE.get(type(within[key]), ODD))
    elif how == "odd":
        within[key] = draw(ODD)
    elif how == "drop":
        del within[key]
    elif isinstance(within, dict) and how == "add":
        within[draw(st.text(max_size=5))] = draw(ODD)
    else:
        moved = value
        for step in draw(st.sampled_from(places(value))):
            moved = moved[step]
        within[key] = json.loads(json.dumps(moved))
    return value


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """The text of an attribute, damaged as a value or as a text."""
    if draw(st.integers(0, 4)) == 0:
        place = draw(st.integers(0, len(text)))
        return text[:place] + draw(st.text(max_size=3)) + text[place + draw(st.integers(0, 9)) :]
    value = json.loads(text)
    inner = json.loads(value) if isinstance(value, str) and value[:1] in "{[" else value
    for _ in range(draw(st.integers(1, 3))):
        inner = changed(draw, inner)
    return json.dumps(json.dumps(inner) if isinstance(value, str) and value[:1] in "{[" else inner)


@given(data=st.data())
def test_a_damaged_record_is_read_or_refused(
    study: Study, reader: optuna.storages.BaseStorage, data: st.DataObject
) -> None:
    rows = data.draw(st.lists(st.integers(0, len(study.rows) - 1), min_size=1, max_size=3, unique=True))
    try:
        for row in rows:
            study.write(row, data.draw(damaged(study.rows[row][2])))
        _read_through(reader)
    finally:
        for row in rows:
            study.write(row, study.rows[row][2])


def _read_through(storage: optuna.storages.BaseStorage) -> None:
    """What every command does with a study; what is read is written and read as the same again."""
    try:
        found = optuna.load_study(study_name="s", storage=storage)
        studies = StudyStore(found, objectives_of(found))
        studies.number("spent_seconds")
        studies.mapping("ended")
        record = studies.record()
    except UserError:
        return
    assert [trial.number for trial in record.trials if trial.duplicate_of is None] == [0, 1, 2][
        : len(record.trials)
    ]
    ranked = read(record).ranking.entries
    complete = {trial.number for trial in record.trials if trial.ended(Outcome.COMPLETE)}
    assert {entry.number for entry in ranked} == complete
    _written_again(record)


def _written_again(record: StudyRecord) -> None:
    plain = replace(record, trials=(), importances={})
    assert frame.read(frame.written(plain)) == plain
    for trial in record.trials:
        again = kept.storable(trial.evaluation)
        assert kept.read(kept.written(again), trial.number) == again
