"""An artifact opened at each value of what its runtime is told: does a result come from an optimization?"""

from __future__ import annotations

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
from .runtimes import Answers, RuntimePlace


@dataclass(frozen=True, kw_only=True)
class Level:
    """A value of an option, and what it gives: `before` and `after` hold the outputs there against those at
    the default in the same place, `as_before` those after against those before at the default (None: it does
    not open there)."""

    option: str
    value: str
    before: Evidence | None
    after: Evidence | None
    as_before: Evidence | None

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
    )


def _asked(place: Answers, questions: AskedSamples, told: Options) -> Outputs | None:
    """None where it does not open so."""
    with suppress(StageError, UnsupportedError):
        return place.outputs(questions.first(), told)
    return None


@dataclass(frozen=True, kw_only=True)
class Blame:
    """What the levels tell of results that changed. `at` are values at which they are those of before,
    `words` say so; both empty where no optimization is to blame."""

    words: str = ""
    at: tuple[str, ...] = ()


def blamed(found: tuple[Level, ...], place: RuntimePlace, backend: str) -> Blame:
    """Which optimization a change comes from: at some value of an option, the outputs are as before."""
    right = tuple(level.title for level in found if level.as_before is not None and not off(level.as_before))
    if not right:
        return Blame()
    return Blame(
        words=f"an optimization of {place.runtime(backend)} changes the results: with {joined(right)} they "
        "are those of before",
        at=right,
    )


def dependent(found: tuple[Level, ...]) -> tuple[Level, ...]:
    """The levels on which results depend."""
    return tuple(level for level in found if level.changes)
