"""A model of quality over candidates: Gaussian processes on axes, capacity and number formats.

Several settings of the kernel (see `kernel.py`) are tried, and those that explain the data best are mixed
by their evidence (Rasmussen and Williams 2006, chapters 2 and 5). Settings are chosen anew now and then.
`quality_prediction.py` has what it expects of other rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import solve_triangular
from scipy.linalg.lapack import dtrtri

from ..record.arrays import Flags, Floats
from .kernel import Inputs, Pairs, Settings, prior

SETTINGS, KEPT = 96, 6
LEAST_SETTINGS, FEWER_FROM = 16, 48
"""From so many rows on, as many times fewer settings are tried, but at least so many."""
JITTER = 1e-6
PRIOR_WEIGHT = 3.0  # of the prior on the signal's variance, in observations
SURPRISE, EXCUSED, LEAST_FOR_OUTLIERS = 1.0, 200.0, 8
"""Standard deviations beyond which a value is an outlier; the noise it gets then; from so many rows on."""
SMOOTHING, LEAST_CHANCE = 0.3, 0.1
ROUNDS, CHILDREN, STEP = 2, 8, 0.4
"""The best settings are varied so many times, by steps of so many prior standard deviations."""
REFIT_GROWTH = 1.1  # settings are chosen anew when so many times the data is there
ALWAYS_ANEW = 24
LEAST_WEIGHT, LEFT_OUT_FROM = 0.01, 128
"""From so many rows on, settings that are less likely are left out until settings are chosen anew."""
AT_ONCE = 1 << 16
"""Pairs of rows that are worked on together: more would not fit into the processor's cache."""


@dataclass(frozen=True, kw_only=True)
class _Fitted:
    """One setting after the data: `factor` is the Cholesky factor, `solved` = factor^-1 y."""

    setting: Settings
    factor: Floats
    solved: Floats
    variance: float
    evidence: float
    weight: float = 1.0


class Surrogate:
    """Quality over candidates, learned from rows whose quality is known."""

    def __init__(self) -> None:
        self.inputs = Inputs(model=np.empty((0, 0)), model_axes=0, deploy=np.empty((0, 0)), deploy_axes=0)
        self.parts: tuple[_Fitted, ...] = ()
        self._settings: Settings | None = None
        self._likely: Settings | None = None  # those of them that have any weight
        self._fitted_rows = 0
        self.centre, self.scale = 0.0, 1.0
        self._values, self._likeliest = np.empty(0), np.empty((0, 0))  # its kernel of the known rows
        self._soundness: tuple[float, Floats] | None = None
        self._surprise: tuple[Floats, Floats] | None = None
        self.surprises = np.empty(0)
        """[known rows] standard deviations that each value lies above what the others predict."""
        self.outlying: Flags = np.zeros(0, dtype=bool)

    def __len__(self) -> int:
        return len(self._values)

    # -- learning ------------------------------------------------------------------------------------

    def fit(self, inputs: Inputs, values: Floats, noise: Floats, spread: float) -> None:
        """Learn from rows. `noise` is each value's own extra variance relative to the model's own noise (1:
        nothing extra); `spread` the least standard deviation that values are taken to have.

        Values far above what all others predict (lower is better here) are put down to something that did
        not work; they are excused, and counted against the chance to work of their neighbours instead
        (`quality_prediction.Beliefs`). Otherwise they would make every prediction near them unsure in both
        directions.
        """
        self.inputs, rows = inputs, len(values)
        self._take_values(values, spread)
        settings = self._settings
        if settings is not None and settings.widths != inputs.widths:
            settings, self._fitted_rows = None, 0  # a feature is known now that was not before
        anew = rows >= self._fitted_rows * REFIT_GROWTH or rows < self._fitted_rows or rows <= ALWAYS_ANEW
        self._fitted_rows = rows if anew else self._fitted_rows
        near = Pairs(inputs, inputs)
        if anew:
            tried = prior(inputs.widths, max(LEAST_SETTINGS, _fewer(SETTINGS, rows)))
            settings = self._best(near, tried if settings is None else tried.and_others(settings), noise)
        else:
            settings = self._likely
        assert settings is not None
        settings = self._settle(near, settings, noise, anew=anew)
        if anew:
            self._settings = settings
            self._likely = replace(
                settings, draws=np.concatenate([part.setting.draws for part in self.parts])
            )

    def _settle(self, near: Pairs, settings: Settings, noise: Floats, *, anew: bool) -> Settings:
        """Excuse what surprises, and with `anew` look for better settings near the best: the search goes on
        from fit to fit. Returns the settings."""
        rows = len(self._values)
        self.outlying, kernel = np.zeros(rows, dtype=bool), near.kernel(settings)
        self._condition(kernel, settings, noise)
        for _ in range(ROUNDS):
            before = self.outlying
            if rows >= LEAST_FOR_OUTLIERS:
                self.outlying = self._surprising()[0] > SURPRISE
            excused = np.where(self.outlying, EXCUSED, noise)
            if anew:
                varied = settings.varied(max(1, _fewer(CHILDREN, rows)), STEP, seed=rows)
                settings = self._best(near, varied.and_others(settings), excused)
                kernel = near.kernel(settings)
            elif (before == self.outlying).all():
                break
            self._condition(kernel, settings, excused)
        self.surprises, self._soundness = self._surprising()[0], None
        return settings

    def _take_values(self, values: Floats, spread: float) -> None:
        self.centre, self.scale = float(values.mean()), max(float(values.std()), spread)
        self._values = (values - self.centre) / self.scale

    def _best(self, near: Pairs, settings: Settings, noise: Floats) -> Settings:
        """The settings with the most evidence."""
        step, found = max(1, AT_ONCE // len(noise) ** 2), []
        for start in range(0, len(settings), step):
            some = settings.take(slice(start, start + step))
            found.append(self._factorized(near.kernel(some), some, noise)[3])
        return settings.take(np.argsort(-np.concatenate(found), kind="stable")[:KEPT])

    def _condition(self, kernel: Floats, settings: Settings, noise: Floats) -> None:
        """Keep settings, whose `kernel` of the known rows is given, each weighed by its evidence."""
        found = zip(*self._factorized(kernel, settings, noise), strict=True)
        parts = [
            _Fitted(
                setting=settings.take([place]),
                factor=np.ascontiguousarray(factor),
                solved=solved,
                variance=float(variance),
                evidence=float(evidence),
            )
            for place, (factor, solved, variance, evidence) in enumerate(found)
        ]
        self.parts = _weighed(sorted(parts, key=lambda part: -part.evidence))
        self._likeliest = kernel[int(np.argmax([part.evidence for part in parts]))]
        self._surprise = None

    def _factorized(self, kernel: Floats, settings: Settings, noise: Floats) -> tuple[Floats, ...]:
        """Factors [settings, rows, rows], solved values [settings, rows], variances and evidence."""
        rows = len(self._values)
        # The values stand below the matrix as one more row: its factor's last row is then the solved values.
        whole = np.empty((len(settings), rows + 1, rows + 1))
        whole[:, :rows, :rows] = kernel
        whole[:, :rows, :rows] += 1.0
        diagonal = np.arange(rows)
        whole[:, diagonal, diagonal] += settings.noise[:, None] * noise + JITTER
        whole[:, rows, :rows] = self._values
        whole[:, rows, rows] = 10.0 / JITTER * (1.0 + self._values @ self._values)
        factors: Floats = np.linalg.cholesky(whole).astype(np.float64, copy=False)
        factor, solved = factors[:, :rows, :rows], factors[:, rows, :rows]
        variance, evidence = _evidence(factor[:, diagonal, diagonal], solved, settings)
        return factor, solved, variance, evidence

    def believing(self, inputs: Inputs) -> Surrogate:
        """The same model, in which further rows are known to be just what it expects of them: what it expects
        of others stays, and near them it is surer (Ginsbourger et al. 2010)."""
        pairs, among, found = Pairs(self.inputs, inputs), Pairs(inputs, inputs), copy(self)
        found.inputs = self.inputs.and_rows(inputs)
        found.parts = tuple(_extended(part, pairs, among) for part in self.parts)
        return found

    # -- what is known of known rows -----------------------------------------------------------------

    def _surprising(self) -> tuple[Floats, Floats]:
        """How many standard deviations each value lies above what the others predict, and by how much, on
        the scale of the values (chapter 5.4.2)."""
        if self._surprise is not None:
            return self._surprise
        surprise, missed = np.zeros((2, len(self._values)))
        for part in self.parts:
            inverse = dtrtri(part.factor.T, lower=0)[0]  # of the factor, transposed
            solved, ends = inverse @ part.solved, np.square(inverse).sum(axis=1)
            surprise += part.weight * solved / np.sqrt(ends * part.variance)
            missed += part.weight * solved / ends
        self._surprise = surprise, missed
        return self._surprise

    def left_out(self) -> tuple[Floats, Floats]:
        """Each known row as predicted from all others: means, and the values themselves."""
        predicted = self._values - self._surprising()[1]
        return self.centre + self.scale * predicted, self.centre + self.scale * self._values

    def chance(self, cross: Floats) -> Floats:
        """[rows] the chance to work: the share of neighbours that were no outliers, smoothed by the likeliest
        kernel, `cross` [known rows, rows]."""
        if not self.outlying.any() or len(self) < LEAST_FOR_OUTLIERS:
            return np.ones(cross.shape[1])
        if self._soundness is None:
            sound, smoothed = (~self.outlying).astype(float), self._likeliest + SMOOTHING * np.eye(len(self))
            self._soundness = float(sound.mean()), np.linalg.solve(smoothed, sound - sound.mean())
        mean, weights = self._soundness
        found: Floats = np.clip(mean + weights @ cross, LEAST_CHANCE, 1.0)
        return found


def _extended(part: _Fitted, pairs: Pairs, among: Pairs) -> _Fitted:
    """With further rows that miss by nothing, and have the noise of others that were scored."""
    old, new = part.factor, among.kernel(part.setting)[0] + 1.0
    rows, added = len(old), len(new)
    cross = solve_triangular(old, pairs.kernel(part.setting)[0] + 1.0, lower=True, check_finite=False)
    new[np.diag_indices(added)] += part.setting.noise[0] + JITTER
    factor = np.zeros((rows + added, rows + added))
    factor[:rows, :rows], factor[rows:, :rows] = old, cross.T
    factor[rows:, rows:] = np.linalg.cholesky(new - cross.T @ cross)
    return replace(part, factor=factor, solved=np.concatenate([part.solved, np.zeros(added)]))


def _weighed(parts: Sequence[_Fitted]) -> tuple[_Fitted, ...]:
    evidence = np.array([part.evidence for part in parts])
    shares = np.exp(evidence - evidence.max())
    least = LEAST_WEIGHT * shares.sum() if len(parts[0].solved) >= LEFT_OUT_FROM else 0.0
    kept = [part for part, share in zip(parts, shares, strict=True) if share >= least]
    shares = shares[: len(kept)] / shares[: len(kept)].sum()  # the likeliest come first
    return tuple(replace(part, weight=float(w)) for part, w in zip(kept, shares, strict=True))


def _fewer(count: int, rows: int) -> int:
    """Settings to be tried: with many rows each takes long, and the best are known well."""
    return int(count * min(1.0, FEWER_FROM / rows))


def _evidence(ends: Floats, solved: Floats, settings: Settings) -> tuple[Floats, Floats]:
    """Variance of the signal and logarithm of the evidence, both [settings]. `ends` are factors' diagonals.

    The signal's variance is integrated out under an inverse-gamma prior around 1.
    """
    count = solved.shape[1] + PRIOR_WEIGHT
    variance = (np.square(solved).sum(axis=1) + PRIOR_WEIGHT) / count
    evidence = -0.5 * count * np.log(variance) - np.log(ends).sum(axis=1)
    evidence -= 0.5 * np.square(settings.draws).sum(axis=1)
    return variance, evidence
