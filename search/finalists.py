"""The last step of a study: the best candidates on data the search never saw, timed against each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..backends.latency import LatencyPlan, compare, summarize
from ..profiles.errors import StageError
from .evaluation import Finalist, Quantity, StudyRecord
from .quantities import latency_quantities
from .ranking import rank, strongest_simple_choice, trial_of

if TYPE_CHECKING:
    from .evaluate import Evaluator


def choose_finalists(record: StudyRecord, count: int) -> tuple[int, ...]:
    """Trial numbers: the best ranked (feasible and on the front first), and the strongest simple choice."""
    best = [entry.number for entry in rank(record).entries if entry.on_front or entry.feasible][:count]
    baseline = strongest_simple_choice(record)
    extra = [baseline] if baseline is not None and baseline not in best else []
    return (*best, *extra)


def measure_finalists(
    record: StudyRecord, numbers: tuple[int, ...], evaluator: Evaluator, *, rounds: int, seed: int
) -> tuple[Finalist, ...]:
    """Score each on `test`; measure all of them interleaved in random order in the same rounds.

    One whose runner fails now is left out: its earlier numbers stand.
    """
    scores: dict[int, Quantity] = {}
    artifacts = {}
    for number in numbers:
        evaluation = trial_of(record, number).evaluation
        try:
            scores[number] = evaluator.test_score(evaluation)
            artifacts[str(number)] = (evaluator.artifact(evaluation), evaluation.candidate.backend)
        except StageError:
            continue
    if not artifacts:
        return ()
    measured = evaluator.device.interleaved(artifacts, LatencyPlan(rounds=rounds, seed=seed))
    baseline = strongest_simple_choice(record)
    finalists = []
    for number in (n for n in scores if str(n) not in measured.failed):
        summary = summarize(measured, str(number))
        metrics = {record.quality: scores[number], **latency_quantities(summary)}
        ratio = None
        if baseline is not None and str(baseline) in measured.series and number != baseline:
            against = compare(measured, str(number), str(baseline))
            ratio = Quantity(
                value=against.value,
                low=against.low,
                high=against.high,
                how=f"per-round latency ratio to trial {baseline}, {rounds} rounds",
            )
        finalists.append(Finalist(number=number, metrics=metrics, ratio_to_baseline=ratio))
    return tuple(finalists)
