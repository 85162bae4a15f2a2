"""The first rung: the ranges of activations taken in another way, or from other samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ...profiles.errors import StageError, UnsupportedError
from ..record.treatment import CALIBRATION, Treatment
from .protocols import Bench, Found, Scored, Standing, better

MORE_SAMPLES = 4
"""So many times the samples are tried where there are as many."""


@dataclass(frozen=True, kw_only=True)
class CalibrationRung:
    """Tries other random draws of as many samples, then other methods, then more samples.

    `draws` counts the first samples as one. All draws are tried before anything is chosen, so that their
    spread tells what the luck of the draw is worth; methods and numbers of samples only until the target is
    reached. Chosen is the best quality on validation, among equals the one nearest to the float model.
    """

    draws: int
    name: str = CALIBRATION

    def seconds(self, bench: Bench, standing: Standing) -> float | None:
        """One artifact compiled and scored for each try."""
        tries = len(self._draws(bench, standing.treatment))
        tries += len(_methods(bench, standing.treatment)) + len(_counts(bench, standing.treatment))
        if not tries or not bench.candidate.precision.decoded.calibrated:
            return None
        return tries * (bench.seconds.compile + bench.seconds.score)

    def climb(self, bench: Bench, standing: Standing) -> Found:
        search = _Tries(bench=bench, standing=standing)
        search.tried[standing.treatment] = standing.scored
        drawn = self._draws(bench, standing.treatment)
        for treatment in drawn:
            search.look_at(treatment)
        notes = _spread(bench, search, (standing.treatment, *drawn))
        for following in (_methods, _counts):
            search.until_reached(following(bench, search.best))
        tries = [t for t in search.tried if t != standing.treatment]
        words = "; ".join(_words(bench, treatment) for treatment in tries)
        detail = f"tried {words or 'nothing that could be scored in time'}"
        if search.failed:
            detail += f"; {search.failed} more could not be compiled or run"
        return Found(treatment=search.best, scored=search.tried[search.best], detail=detail, notes=notes)

    def _draws(self, bench: Bench, treatment: Treatment) -> list[Treatment]:
        if not 0 < _samples(bench, treatment) < bench.total:
            return []
        return [replace(treatment, calibration_draw=draw) for draw in range(1, self.draws)]


@dataclass(kw_only=True)
class _Tries:
    """What was tried, in order."""

    bench: Bench
    standing: Standing
    tried: dict[Treatment, Scored] = field(default_factory=dict)
    failed: int = 0

    @property
    def best(self) -> Treatment:
        """The best of what was tried; of equals the first."""
        found = next(iter(self.tried))
        for treatment, scored in self.tried.items():
            if better(self.bench.scale, scored, self.tried[found]):
                found = treatment
        return found

    def look_at(self, treatment: Treatment) -> None:
        """Score it, unless the time is over."""
        if treatment in self.tried or self.bench.now() >= self.standing.deadline:
            return
        try:
            self.tried[treatment] = self.bench.score(treatment)
        except (StageError, UnsupportedError):
            self.failed += 1  # the next may be better

    def until_reached(self, treatments: Iterable[Treatment]) -> None:
        """Score one after the other as long as none is good enough."""
        for treatment in treatments:
            if self.standing.reached(self.bench.scale, self.tried[self.best].quality):
                return
            self.look_at(treatment)


def _methods(bench: Bench, treatment: Treatment) -> list[Treatment]:
    used = treatment.calibration_method or bench.candidate.calibration_method
    return [replace(treatment, calibration_method=name) for name in bench.methods if name != used]


def _counts(bench: Bench, treatment: Treatment) -> list[Treatment]:
    samples = _samples(bench, treatment)
    more = min(MORE_SAMPLES * samples, bench.total)
    return [replace(treatment, calibration_samples=more, calibration_draw=0)] if more > samples else []


def _samples(bench: Bench, treatment: Treatment) -> int:
    return treatment.calibration_samples or bench.candidate.calibration_samples


def _spread(bench: Bench, search: _Tries, draws: Iterable[Treatment]) -> tuple[str, ...]:
    """ "3 draws of 128 calibration samples: accuracy 97.80 % to 98.60 %"."""
    seen = [search.tried[treatment].quality for treatment in draws if treatment in search.tried]
    if len(seen) < 2:
        return ()
    text, samples = bench.scale.text, _samples(bench, search.standing.treatment)
    return (
        f"{len(seen)} draws of {samples} calibration samples: "
        f"{bench.scale.title} {text(min(seen))} to {text(max(seen))}",
    )


def _words(bench: Bench, treatment: Treatment) -> str:
    method = treatment.calibration_method or bench.candidate.calibration_method
    draw = f", draw {treatment.calibration_draw}" if treatment.calibration_draw else ""
    return f"{method} on {_samples(bench, treatment)} samples{draw}"
