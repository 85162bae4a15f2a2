"""What the gate saved: candidates that were not trained, or not to the end, and the time that this spared."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from ...search.record.evaluation import Outcome, StudyRecord, TrialRecord
from ...search.record.training import NeededTraining, needed, trainings_ended, trainings_met
from .trainings import finished, own_trials, training_seconds


@dataclass(frozen=True, kw_only=True)
class Savings:
    """How many candidates were stopped, and what that spared.

    Before training: `over_limit` missed a limit on the device, `dominated` were certain to be beaten,
    `hopeless` certain to miss a limit on the quality. `stopped` were given up in training, for which `spent`
    seconds had gone. `trainings` counts the trainings that no candidate needed in the end. `seconds` is the
    estimate of what these would have taken, less what was spent on them; None where nothing tells how long
    one of them takes. `expected` of them are estimated by what the sampler expected, the others by the
    median of those that were done.
    """

    over_limit: int
    dominated: int
    hopeless: int
    stopped: int
    spent: float
    trainings: int
    seconds: float | None
    expected: int

    @property
    def before(self) -> int:
        """Candidates that were stopped before training."""
        return self.over_limit + self.dominated + self.hopeless


def savings(record: StudyRecord) -> Savings:
    """What the gate saved in a study."""
    gated = [trial for trial in own_trials(record) if trial.evaluation.outcome is Outcome.GATED]
    before = [trial.evaluation.bound for trial in gated if not trial.evaluation.stopped_epoch]
    beaten = [bound for bound in before if bound is not None and bound.beaten_by is not None]
    stopped = [trial for trial in gated if trial.evaluation.stopped_epoch]
    spared, costs = _spared(record), _typical_costs(record)
    expected = {training: _expected(training, wanting, costs) for training, wanting in spared.items()}
    whole = {t: _typical(t, costs) if own is None else own for t, own in expected.items()}
    return Savings(
        over_limit=before.count(None),
        dominated=len(beaten),
        hopeless=len(before) - before.count(None) - len(beaten),
        stopped=len(stopped),
        spent=sum(map(_given_up_seconds, stopped)),
        trainings=len(spared),
        seconds=_less_spent(whole, stopped),
        expected=sum(own is not None for own in expected.values()),
    )


Wanting = tuple[TrialRecord, tuple[NeededTraining, ...]]  # a gated trial, and all it would have had to train


def _spared(record: StudyRecord) -> dict[NeededTraining, list[Wanting]]:
    """Trainings that gated candidates alone asked for, with these candidates."""
    done: set[NeededTraining] = set()
    wanted: dict[NeededTraining, list[Wanting]] = defaultdict(list)
    for trial in own_trials(record):
        done |= finished(trial)
        if trial.evaluation.outcome is Outcome.GATED:
            missing = tuple(t for t in needed(trial.evaluation.candidate) if t not in done)
            for training in missing:
                wanted[training].append((trial, missing))
    return {training: trials for training, trials in wanted.items() if training not in done}


def _typical_costs(record: StudyRecord) -> dict[str, list[float]]:
    """Seconds of each training that was done to the end in this study, by its kind."""
    costs: dict[str, list[float]] = defaultdict(list)
    for trial in own_trials(record):
        for stage in trainings_ended(trial.evaluation):
            if not stage.cached:
                costs[stage.name].append(stage.seconds)
    return costs


def _typical(training: NeededTraining, costs: Mapping[str, Sequence[float]]) -> float | None:
    alike = costs.get(training.kind) or [cost for kind in costs.values() for cost in kind]
    return median(alike) if alike else None


def _expected(
    training: NeededTraining, wanting: Sequence[Wanting], costs: Mapping[str, Sequence[float]]
) -> float | None:
    """The most that the sampler expected of it; a candidate's cost is shared among its trainings."""
    found = []
    for trial, missing in wanting:
        proposal = trial.evaluation.proposal
        if proposal is not None and proposal.seconds is not None:
            weights = {t: _typical(t, costs) or 1.0 for t in missing}
            found.append(proposal.seconds * weights[training] / sum(weights.values()))
    return max(found, default=None)


def _given_up_seconds(trial: TrialRecord) -> float:
    met = trainings_met(trial.evaluation)
    return met[-1].seconds if met and not met[-1].cached else 0.0


def _less_spent(whole: Mapping[NeededTraining, float | None], stopped: Sequence[TrialRecord]) -> float | None:
    if None in whole.values():
        return None
    spent: dict[NeededTraining, float] = defaultdict(float)
    for trial in stopped:
        met = trainings_met(trial.evaluation)
        for training in needed(trial.evaluation.candidate):
            if met and training.kind == met[-1].name:
                spent[training] += _given_up_seconds(trial)
    return sum(max(0.0, (cost or 0.0) - spent[training]) for training, cost in whole.items())


def trainings_done(record: StudyRecord) -> tuple[int, float]:
    """How many trainings the study did to the end, and the seconds of all training, stopped or not."""
    count = sum(map(len, _typical_costs(record).values()))
    return count, sum(map(training_seconds, record.trials))
