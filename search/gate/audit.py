"""Was the gate right? Some of what it stopped is trained after all, and held against the front."""

from __future__ import annotations

import random
from dataclasses import replace

from ..ranking.known import complete_trials, point_of, searched_metrics, trial_of, violations
from ..ranking.pareto import dominates
from ..ranking.sentences import name_of
from ..record.evaluation import Audited, Evaluation, Outcome, StudyRecord, TrialRecord, met
from ..record.training import went_on


def choose_audited(record: StudyRecord, share: float, seed: int) -> tuple[int, ...]:
    """Numbers of a random share (0 to 1) of the gated trials, ascending; at least one where there are any.

    What cannot exist on the device was refused and not gated, so all of these can be trained. Trainings that
    were paused and not gone on with are among them, but for those whose end was only too late.

    Raises:
        ValueError: the share is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1, found {share}")
    numbers = _gated(record)
    count = min(len(numbers), max(1, round(share * len(numbers)))) if share else 0
    return tuple(sorted(random.Random(seed).sample(numbers, count)))


def _gated(record: StudyRecord) -> list[int]:
    later = went_on(record)
    stopped = (t for t in record.trials if t.ended(Outcome.GATED) and not t.evaluation.late)
    return [trial.number for trial in stopped if trial.number not in later]


def judged(record: StudyRecord, number: int, evaluation: Evaluation) -> Audited:
    """A gated trial with what came of it when it was trained after all.

    It would have been on the front if it is complete, meets the limits and is dominated by none of the
    study's complete trials that meet them (`pareto.dominates`, by what the search measured).
    """
    trained = replace(trial_of(record, number), evaluation=evaluation)
    return Audited(number=number, evaluation=evaluation, on_front=_on_front(record, trained))


def _on_front(record: StudyRecord, trained: TrialRecord) -> bool:
    if trained.evaluation.outcome is not Outcome.COMPLETE:
        return False
    point = point_of(record.objectives, searched_metrics(trained))
    if point is None or not _feasible(record, trained):
        return False
    higher = [objective.higher_is_better for objective in record.objectives]
    others = (
        point_of(record.objectives, searched_metrics(trial))
        for trial in complete_trials(record)
        if _feasible(record, trial)
    )
    return not any(other is not None and dominates(other, point, higher) for other in others)


def _feasible(record: StudyRecord, trial: TrialRecord) -> bool:
    return met(violations(record.limits, searched_metrics(trial)))


def audit_text(record: StudyRecord) -> str:
    """One or two sentences on what the audit found; empty where there was none."""
    if not record.audit:
        return ""
    count = len(record.audit)
    incomplete = sum(audited.evaluation.outcome is not Outcome.COMPLETE for audited in record.audit)
    trained = (
        f"{count} of {len(_gated(record))} gated candidates {'was' if count == 1 else 'were'} "
        "trained after all to check the gate"
        + (f" ({incomplete} of them did not come to an end)" if incomplete else "")
    )
    wrong = [audited.number for audited in record.audit if audited.on_front]
    if not wrong:
        none = "it would not" if count == 1 else "none of them would"
        return f"{trained}: {none} have been on the front."
    who = "it" if count == 1 else f"{len(wrong)} of them"
    named = ", ".join(name_of(record, number) for number in wrong)
    return f"{trained}: {who} would have been on the front, so the gate was wrong about {named}."
