"""A run whose recommended candidate has a real artifact, and a study in Optuna's storage to go with it."""

from __future__ import annotations

from dataclasses import replace

import optuna
import pytest
from contracts.stored_artifacts import stored
from paretune.profiles.precision import Precision
from paretune.profiles.quantity import Quantity
from paretune.reports.api.runs import Run
from paretune.search.ranking.known import trial_of
from paretune.search.ranking.reading import read
from paretune.search.storage.run_file import RunFile, write_run_file
from paretune.search.storage.url import StorageUrl

WORST = Quantity(value=0.03, low=0.01, high=0.05, how="class 8: 91 % against the teacher's 94 %, 90 samples")


@pytest.fixture(scope="session")
def run(study, tmp_path_factory):
    """Its directory has a study of as many trials, as a run leaves it."""
    folder = tmp_path_factory.mktemp("run")
    number = read(study).recommended.number
    evaluation = trial_of(study, number).evaluation
    candidate = replace(evaluation.candidate, backend="ort", precision=Precision.INT8)
    key = stored(folder / "store", "ort")
    trials = tuple(
        replace(t, evaluation=replace(evaluation, candidate=candidate, artifact_key=key))
        if t.number == number
        else t
        for t in study.trials
    )
    finalists = tuple(
        replace(one, side_effects={"worst_class_drop": WORST}) if one.number == number else one
        for one in study.finalists
    )
    record = replace(study, trials=trials, finalists=finalists, store=str(folder / "store"))
    kept = StorageUrl.of_file(folder / "study.db")
    in_optuna = optuna.create_study(study_name=record.name, storage=f"sqlite:///{folder / 'study.db'}")
    for value in range(number + 1):
        in_optuna.add_trial(optuna.trial.create_trial(value=float(value)))
    write_run_file(
        folder,
        RunFile(
            name=record.name, storage=kept, study_file=folder / "gone.yaml", store=folder / "store", own=True
        ),
    )
    return Run(path=folder, folder=folder, reading=read(record))
