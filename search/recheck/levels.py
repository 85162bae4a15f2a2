"""An artifact opened at each value of what its runtime is told: does a result come from an optimization?"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from ...backends.contract.options import Options, RuntimeOption
from ...backends.registry import get_backend
from ...profiles.devices.schema import Profile
from ...profiles.errors import StageError, UnsupportedError
from ...profiles.words import joined
from ..checks.evidence import Evidence
from .kept import KeptArtifact
from .numerics import Outputs, outputs_evidence
from .questions import AskedSamples
from .runtimes import Answers


@dataclass(frozen=True, kw_only=True)
class Level:
    """A value of an option, and what it gives: `before` and `after` hold the outputs there against those at
    the default in the same place, `as_before` those after against those before at the default, `mended` those
    after at the default against those before (None: it does not open there)."""

    option: str
    value: str
    before: Evidence | None
    after: Evidence | None
    as_before: Evidence | None
    mended: Evidence | None = None

    @property
    def title(self) -> str:
        """ "graph_optimization basic"."""
        return f"{self.option} {self.value}"

    @property
    def changes(self) -> bool:
        """Whether results depend on it, in either place."""
        return any(one is not None and off(one) for one in (self.before, self.after))


def off(evidence: Evidence) -> bool:
    """Whether outputs differ by more than two runtimes that compute rightly do."""
    return evidence.p == 0.0


def levels(
    places: tuple[Answers, Answers],
    artifact: KeptArtifact,
    questions: AskedSamples,
    at_default: tuple[Outputs, Outputs],
    profile: Profile,
) -> tuple[Level, ...]:
    """Each value beside the one that it is deployed with. `at_default` has the outputs in both places with
    that, for the same first samples."""
    backend = get_backend(artifact.backend)
    offered = backend.options(profile, artifact.precision, artifact.setting.threads)
    return tuple(
        _level(places, artifact, questions, at_default, option, value)
        for option in offered
        if option.when == "open"
        for value in _others(option, artifact)
    )


def _others(option: RuntimeOption, artifact: KeptArtifact) -> tuple[str, ...]:
    deployed = dict(artifact.setting.options).get(option.name, option.default)
    return tuple(value for value in option.values if value != deployed)


def _level(
    places: tuple[Answers, Answers],
    artifact: KeptArtifact,
    questions: AskedSamples,
    at_default: tuple[Outputs, Outputs],
    option: RuntimeOption,
    value: str,
) -> Level:
    subject = f"{artifact.title}, {option.name} {value}"
    before, after = (_asked(place, questions, {option.name: value}) for place in places)

    def held(now: Outputs | None, was: Outputs) -> Evidence | None:
        return None if now is None else outputs_evidence(subject, artifact, questions, was, now)

    return Level(
        option=option.name,
        value=value,
        before=held(before, at_default[0]),
        after=held(after, at_default[1]),
        as_before=held(after, at_default[0]),
        mended=None if before is None else held(at_default[1], before),
    )


def _asked(place: Answers, questions: AskedSamples, told: Options) -> Outputs | None:
    """None where it does not open so."""
    with suppress(StageError, UnsupportedError):
        return place.outputs(questions.first(), told)
    return None


@dataclass(frozen=True, kw_only=True)
class Blame:
    """What the levels tell of results that changed; empty where no optimization is to blame. `before`: it is
    the runtime before that computed wrongly, and the one after no longer does."""

    words: str = ""
    before: bool = False


def blamed(found: tuple[Level, ...], before: str, after: str) -> Blame:
    """Which optimization a change comes from: at some value of an option the outputs are those of the other
    side. `before` and `after` name the runtimes."""
    if wrong := _at(level for level in found if _off(level.after) and _same(level.as_before)):
        return Blame(
            words=f"an optimization of {after} changes the results: with {wrong} they are those of before"
        )
    if wrong := _at(level for level in found if _off(level.before) and _same(level.mended)):
        was = f"it was an optimization of {before} that changed the results"
        return Blame(words=f"{was}: with {wrong} they are those of {after}", before=True)
    return Blame()


def _at(found: Iterable[Level]) -> str:
    return joined([level.title for level in found])


def _off(evidence: Evidence | None) -> bool:
    return evidence is not None and off(evidence)


def _same(evidence: Evidence | None) -> bool:
    return evidence is not None and not off(evidence)


def dependent(found: tuple[Level, ...]) -> tuple[Level, ...]:
    """The levels on which results depend."""
    return tuple(level for level in found if level.changes)
