"""What plain 4-bit weights lose on the models of a study, and what quantization-aware training wins back.

The models are the smallest students that the study trained, on every backend of the study that has 4-bit
weights. All scores are those of artifacts in their own runtime, on the test split.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from paretune.backends.registry import offered_precisions
from paretune.profiles.errors import StageError, UnsupportedError
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Outcome, StudyRecord
from paretune.search.record.treatment import UNTREATED, QatPlan, Treatment
from paretune.search.stages.chain import Trace
from paretune.search.stages.training.fake_quantize import qat_bits

from benchmarks.command import tell
from benchmarks.compression.measure import Bench

MODELS = 4


def four_bit_rows(bench: Bench, record: StudyRecord) -> list[dict[str, Any]]:
    """For each model and backend: points lost by plain 4-bit weights against the float model in the same
    runtime, and points of it won back by training."""
    epochs = bench.job.file.ladder.qat_epochs if bench.job.file.ladder != "never" else 4
    rows = []
    for candidate in _candidates(bench, record):
        try:
            rows.append(_row(bench, candidate, epochs))
        except UnsupportedError as error:
            tell(f"not compared: {candidate.title}: {error.reason}")
        except StageError as error:
            tell(f"failed: {candidate.title}: {error.stage}: {error.cause}")
    return rows


def _candidates(bench: Bench, record: StudyRecord) -> Iterator[Candidate]:
    for student in _smallest_students(record):
        for choices in bench.job.space.backends:
            if Precision.INT4_WEIGHT in offered_precisions(choices.name, bench.job.profile):
                yield replace(student, backend=choices.name, precision=Precision.INT4_WEIGHT)


def _smallest_students(record: StudyRecord) -> list[Candidate]:
    found: dict[Any, tuple[float, Candidate]] = {}
    for trial in record.trials:
        evaluation, candidate = trial.evaluation, trial.evaluation.candidate
        if evaluation.outcome is Outcome.COMPLETE and candidate.recipe and "parameters" in evaluation.metrics:
            key = (candidate.student, candidate.sparsity, candidate.recipe)
            found[key] = (evaluation.metrics["parameters"].value, candidate)
    return [candidate for _, candidate in sorted(found.values(), key=lambda pair: pair[0])[:MODELS]]


def _row(bench: Bench, candidate: Candidate, epochs: int) -> dict[str, Any]:
    bits = qat_bits(Precision.INT4_WEIGHT)
    assert bits is not None
    trained = Treatment(qat=QatPlan(weight_bits=bits[0], activation_bits=bits[1], epochs=epochs))
    scores = {
        "float": _accuracy(bench, replace(candidate, precision=Precision.FP32), UNTREATED),
        "plain": _accuracy(bench, candidate, UNTREATED),
        "trained": _accuracy(bench, candidate, trained),
    }
    return {
        "candidate": candidate.title,
        "epochs": epochs,
        **{f"{name}_accuracy": score for name, score in scores.items()},
        "lost_points": 100 * (scores["float"] - scores["plain"]),
        "won_points": 100 * (scores["trained"] - scores["plain"]),
    }


def _accuracy(bench: Bench, candidate: Candidate, treatment: Treatment) -> float:
    compiled = bench.evaluator.chain.compiled(candidate, Trace(), treatment=treatment)
    return float(bench.right(compiled, candidate.backend).mean())
