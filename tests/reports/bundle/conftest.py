"""A study with real artifacts in a real store."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from contracts.stored_artifacts import stored
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import StudyRecord


@pytest.fixture
def exportable(study: StudyRecord, tmp_path: Path) -> StudyRecord:
    """The made study with two real artifacts: trial 0 in ONNX Runtime, trial 3 in LiteRT."""
    root = tmp_path / "store"
    trials = list(study.trials)
    for number, backend in ((0, "ort"), (3, "tflite")):
        evaluation = replace(
            trials[number].evaluation,
            candidate=Candidate(backend=backend, precision=Precision.FP32),
            artifact_key=stored(root, backend),
        )
        trials[number] = replace(trials[number], evaluation=evaluation)
    return replace(study, trials=tuple(trials), store=str(root))
