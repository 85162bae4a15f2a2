"""What a study has counted: candidates by their end, trainings, and what of the budget they used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from ..record.evaluation import Outcome, TrialRecord
from ..record.training import TRAINING_STAGES
from ..record.treatment import QAT

MEASURED_PER_TRIAL = 10
"""So many candidates that the gate stopped before training count as one trial of the budget."""

_WORTH_TELLING_S = 1.0


def evaluated(known: Collection[TrialRecord]) -> int:
    """Candidates that cost budget. One that was only measured counts a part, so that a search in which
    nothing meets the limits ends as well; what cannot exist on the device counts nothing."""
    measured = refused = 0
    for record in known:  # in one go: it is asked several times for each proposal
        found = record.evaluation
        if found.outcome is Outcome.GATED:
            measured += not found.stopped_epoch
        elif found.outcome is Outcome.REFUSED:
            refused += 1
    return len(known) - measured - refused + measured // MEASURED_PER_TRIAL


def counters(
    known: Collection[TrialRecord],
    parts: Collection[TrialRecord] = (),
    *,
    trials: int,
    space: int,
    measured: int,
    waited: float = 0.0,
) -> dict[str, float]:
    """What reports show: `known` are the candidates that were evaluated, `parts` earlier evaluations of some
    of them (a training that was paused then, and gone on with), `trials` all that was answered,
    `measured` the candidates measured before anything else, `waited` the seconds in which others had the
    device."""
    outcomes = Counter(record.evaluation.outcome for record in known)
    found: dict[str, float] = {
        "trials": trials,
        "candidates": len(known),
        "duplicates": trials - len(known) - len(parts),
        "space": space,
        "measured": measured,
    }
    found.update({outcome.value: float(outcomes[outcome]) for outcome in Outcome})
    found["paused"] = sum(record.evaluation.paused for record in known)
    found.update(_training_counts((*known, *parts)))
    if waited >= _WORTH_TELLING_S:
        found["waited_seconds"] = round(waited, 1)
    return found


def _training_counts(records: Collection[TrialRecord]) -> dict[str, float]:
    """How many students this study trained, how often it trained one again with fake quantization, and the
    seconds spent on both."""
    trained = [s for r in records for s in r.evaluation.stages if s.name in TRAINING_STAGES]
    stages = [stage for stage in trained if stage.name != QAT]
    made = [stage for stage in stages if not stage.cached]
    used = {stage.key for stage in stages}
    again = [stage for stage in trained if stage.name == QAT and not stage.cached]
    return {
        "trainings": len({stage.key for stage in made}),  # in parts or at once
        "qat_trainings": len(again),
        "training_seconds": sum(stage.seconds for stage in (*made, *again)),
        "trainings_used": len(used),
        "trainings_asked": len(stages),
    }
