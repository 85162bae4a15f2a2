"""A study that is searched on a server as a driver does it, and what is kept of it."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import optuna
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, Quantity
from paretune.search.storage.study_store import StudyStore
from paretune.search.storage.url import StorageUrl
from postgresql import ENCODED

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid != pg_backend_pid()"
    " AND application_name LIKE 'paretune%'"
)
"""Ends every line of a run to the server."""
OBJECTIVES = {"accuracy": True, "latency_ms": False}


def url_at(port):
    return StorageUrl(f"postgresql+psycopg2://study:{ENCODED}@127.0.0.1:{port}/postgres", Path("/"))


def open_study(url, name, patience=None):
    return StudyStore.create_or_resume(
        url=url,
        name=name,
        problem={},
        objectives=OBJECTIVES,
        sampler=optuna.samplers.RandomSampler(seed=0),
        patience=patience,
    )


def suggest(trial):
    student = tuple((name, trial.suggest_categorical(name, [1, 2, 3, 4])) for name in ("depth", "width"))
    return Candidate(backend="ort", precision=Precision.FP32, student=student)


def evaluated(candidate):
    depth, width = (value for _, value in candidate.student)
    metrics = {"accuracy": Quantity(value=0.5 + depth / 10), "latency_ms": Quantity(value=float(width))}
    outcome = Outcome.COMPLETE if depth < 4 else Outcome.GATED
    missed = {"size <= 3": width - 3.0}
    return Evaluation(candidate=candidate, outcome=outcome, metrics=metrics, violations=missed)


def searched(store, trials, between=lambda: None):
    """What a driver does: candidates are queued, asked for, given up, told, answered by others, counted."""
    for number in range(trials):
        between()
        with store.together():
            if number % 4 == 0:
                store.enqueue({"depth": 1 + number % 3, "width": 2}, baseline=True)
            trial, candidate = store.ask(suggest)
        between()
        if number % 4 == 2:
            store.give_up(trial)
            continue
        with store.together():
            told = store.tell(trial, evaluated(candidate), 0.0)
            store.set("told", number)
            assert store.get("told") == number
            store.records()
        if number % 4 == 1:
            with store.together():
                again, _ = store.ask(suggest)
                store.tell_duplicate(again, told, 0.0)


def kept(store):
    """All that a store has of its study, but for times."""
    trials = [
        (t.number, t.state, t.values, t.params, _but_for_times(t.user_attrs), t.system_attrs)
        for t in store.study.trials
    ]
    return trials, [replace(record, seconds=0.0) for record in store.records()], store.get("told")


def _but_for_times(attributes):
    return {key: value for key, value in attributes.items() if key != "seconds"}


def kept_at(url, name):
    """The same, as another process finds it."""
    with closing(StudyStore.load(url, name)) as store:
        return kept(store)
