"""What untrained networks tell of the pool's models, as numbers on one scale.

Structural features and zero-cost proxies (Abdelfattah et al. 2021) lie on very different scales, and their
order says more than their amounts: each is taken by its rank among the networks that told it, as a normal
score.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy.special import ndtri

from ..record.arrays import Flags, Floats, Integers
from ..record.untrained import PROXIES, UNTOLD, Untrained, places
from .problem import SearchPart

LEAST_TOLD = 8
"""What fewer networks told is no scale for others."""
LEAST_TRAINED, LEAST_AGREEMENT = 8, 0.0
"""From so many trained models on, proxies are left out whose consensus ranks these no better than so."""
SAME = 1e-9


class ToldNetworks:
    """Grows with every network that is looked at. Models that compute the same function are one network."""

    def __init__(self, told: Sequence[Untrained], without: frozenset[SearchPart] = frozenset()) -> None:
        self._without = without
        self._told = [self._kept(one) for one in told]
        self.constant: Flags = np.array([one.constant for one in self._told], dtype=bool)
        """[models] whose outputs were not seen to depend on any input: training them is of no use."""
        self._structured = sum(bool(one.structure) for one in self._told)
        self._looked_at = sum(bool(one.proxies) for one in self._told)
        self.version = 0
        """Grows whenever something was learned."""
        self.alike = _first_of_each(self._told)
        """[models] the first model that computes the same function."""
        self._misleading = False
        self._structure: Floats | None = None  # until another one is told

    def __getitem__(self, model: int) -> Untrained:
        return self._told[model]

    def learn(self, model: int, untrained: Untrained) -> None:
        """Take in what a network told when it was looked at."""
        before, new = self._told[model], self._kept(untrained)
        whole = Untrained(
            structure=new.structure or before.structure,
            proxies=new.proxies or before.proxies,
            function=new.function or before.function,
            constant=new.constant or before.constant,
        )
        if whole == before:
            return
        self._told[model] = whole
        self.version += 1
        self.constant[model] = whole.constant
        self._structured += bool(whole.structure) - bool(before.structure)
        self._looked_at += bool(whole.proxies) - bool(before.proxies)
        if whole.structure != before.structure or whole.function != before.function:
            self._structure = None
        if whole.function != before.function:
            self.alike = _first_of_each(self._told)

    def _kept(self, untrained: Untrained) -> Untrained:
        """What is left of it without the parts that are left out."""
        if not untrained:
            return UNTOLD
        if SearchPart.STRUCTURE in self._without:
            untrained = Untrained(proxies=untrained.proxies)
        if SearchPart.PROXIES in self._without:
            return replace(untrained, proxies={})
        # Of others nobody knows whether more promises more: they count where there are none of these.
        ours = {name: untrained.proxies[name] for name in PROXIES if name in untrained.proxies}
        return replace(untrained, proxies=ours or untrained.proxies)

    @property
    def structured(self) -> bool:
        """Whether most models have told their structure."""
        return 2 * self._structured > len(self._told)

    @property
    def looked_at(self) -> bool:
        """Whether proxies are known of enough networks, and did not mislead."""
        return not self._misleading and self.told_enough

    @property
    def told_enough(self) -> bool:
        """Whether proxies are known of enough networks to be judged."""
        return self._looked_at >= LEAST_TOLD

    def structure(self) -> Floats:
        """[models, features] as scores; NaN where none was told. A kind of operation that a network does not
        have makes up none of it."""
        if self._structure is None:
            self._structure = self._scores([one.structure for one in self._told], absent=0.0)
        return self._structure

    def proxies(self) -> Floats:
        """[models, proxies] as scores, NaN where the network was not looked at; no columns where too few
        were, or where they mislead.

        A proxy that is not defined for a network that was looked at is a bad sign: signals die in it.
        """
        if not self.looked_at:
            return np.zeros((len(self._told), 0))
        return self._scores([one.proxies for one in self._told], absent=-np.inf)

    def judge(self, goodness: Mapping[int, float]) -> bool:
        """Learn from trained models' goodness whether the consensus misleads; whether that is new."""
        models = [model for model in goodness if self._told[model].proxies]
        if not self.told_enough or len(models) < LEAST_TRAINED:
            return False
        from scipy.stats import spearmanr  # takes a while

        told, found = [self._told[model].proxies for model in models], [goodness[model] for model in models]
        looks = np.mean(list(places(told).values()), axis=0)
        if np.ptp(found) < SAME or np.ptp(looks) < SAME:
            return False
        misleading = bool(spearmanr(looks, found)[0] < LEAST_AGREEMENT)
        new, self._misleading = misleading is not self._misleading, misleading
        self.version += new
        return new

    @property
    def misleading(self) -> bool:
        """Whether the proxies are left out by now."""
        return self._misleading

    def _scores(self, told: Sequence[Mapping[str, float]], absent: float) -> Floats:
        """`absent` stands for what a network that told others did not tell."""
        rows = [row for row, one in enumerate(told) if one]
        names = sorted({name for row in rows for name in told[row]})
        found = np.full((len(told), len(names)), np.nan)
        if rows:
            found[rows] = [[told[row].get(name, absent) for name in names] for row in rows]
        for column in found.T:
            known = ~np.isnan(column)
            shared = np.full(len(column), np.nan)
            shared[self.alike[known]] = column[known]
            column[:] = np.where(known, column, shared[self.alike])
        scores = [_normal_scores(column, self.alike) for column in found.T]
        varied = [score for score in scores if np.nanmax(score) - np.nanmin(score) > SAME]
        return np.stack(varied, axis=1) if varied else np.zeros((len(told), 0))


def _first_of_each(told: Sequence[Untrained]) -> Integers:
    first: dict[str, int] = {}
    places = [first.setdefault(one.function, row) if one.function else row for row, one in enumerate(told)]
    return np.array(places, dtype=np.int64)


def _normal_scores(values: Floats, alike: Integers) -> Floats:
    """[models] each value's rank among different networks, as a quantile of the normal distribution."""
    from scipy.stats import rankdata  # takes a while

    known = np.flatnonzero(~np.isnan(values))
    _, first, place = np.unique(alike[known], return_index=True, return_inverse=True)
    found = np.full(len(values), np.nan)
    found[known] = ndtri((rankdata(values[known][first]) - 0.5) / len(first))[place]
    return found
