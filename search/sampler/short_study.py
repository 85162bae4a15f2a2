"""A short study that stands for a long one, for samplers that take longer with every trial."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import numpy as np
import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

LONGEST = 250
"""Trials of a study that is handed over whole; of a longer one so many stand for it."""
GROWTH = 1.4
"""Newer trials are added to these until there are so many times as many; then they are picked anew."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


class Excerpt:
    """The best trials of a study, and a spread of the others over all its time."""

    def __init__(self) -> None:
        self._study: Study | None = None
        self._newest = -1

    def of(self, study: Study, best: Collection[int]) -> Study:
        """The study itself while it is short. `best` are numbers of trials that are kept in any case, as far
        as half of the room goes."""
        trials = study.get_trials(deepcopy=False, states=FINISHED)
        if len(trials) <= LONGEST:
            return study
        new = [trial for trial in trials if trial.number > self._newest]
        if self._study is None or len(self._study.get_trials(deepcopy=False)) + len(new) > GROWTH * LONGEST:
            self._study, new = optuna.create_study(directions=study.directions), _picked(trials, best)
        self._study.add_trials(map(_bare, new))
        self._newest = max([self._newest, *(trial.number for trial in new)])
        return self._study


def _picked(trials: list[FrozenTrial], best: Collection[int]) -> list[FrozenTrial]:
    kept = _spread([trial for trial in trials if trial.number in best], LONGEST // 2)
    others = _spread([trial for trial in trials if trial.number not in best], LONGEST - len(kept))
    return sorted({trials[-1].number: trials[-1], **_by_number(kept + others)}.values(), key=_number)


def _spread(trials: list[FrozenTrial], count: int) -> list[FrozenTrial]:
    """So many of them at most, evenly over their order."""
    places = np.unique(np.linspace(0, max(0, len(trials) - 1), count).astype(int))
    return [trials[place] for place in places] if trials else []


def _by_number(trials: Iterable[FrozenTrial]) -> dict[int, FrozenTrial]:
    return {trial.number: trial for trial in trials}


def _number(trial: FrozenTrial) -> int:
    return trial.number


def _bare(trial: FrozenTrial) -> FrozenTrial:
    """A trial without what users and we noted on it, which samplers do not look at."""
    return create_trial(
        state=trial.state,
        values=trial.values,
        params=trial.params,
        distributions=trial.distributions,
        system_attrs=trial.system_attrs,
        intermediate_values=trial.intermediate_values,
    )
