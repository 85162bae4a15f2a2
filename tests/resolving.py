"""What requirements lead to among distributions whose metadata are at hand, and what does not go together.

Works without an index: it asks whether one set of versions, that which is installed, meets all that anything
in the set asks for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

WHO = "paretune"


@dataclass(frozen=True)
class Dist:
    """A distribution: its version and the requirements that its metadata list."""

    version: str
    requires: tuple[str, ...] = ()


@dataclass
class Resolved:
    """What was walked: the versions by name, and problems in words."""

    versions: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def installed(name: str) -> Dist | None:
    """What is installed under a name."""
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None
    return Dist(found.version, tuple(found.requires or ()))


def resolve(requirements: Iterable[str], at_hand: Callable[[str], Dist | None] = installed) -> Resolved:
    """Follow requirements, each for the extras that it is asked with; a problem is one that is not met."""
    result = Resolved()
    waiting = [(Requirement(one), WHO) for one in requirements]
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted, by = waiting.pop()
        name = canonicalize_name(wanted.name)
        found = at_hand(name)
        if found is None:
            result.problems.append(f"{by} needs {wanted}, which is missing")
            continue
        if not wanted.specifier.contains(found.version, prereleases=True):
            result.problems.append(f"{by} needs {wanted}, {found.version} is at hand")
        result.versions[name] = found.version
        for extra in ("", *wanted.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                waiting += [(one, name) for one in _asked(found, extra)]
    result.problems.sort()
    return result


def _asked(dist: Dist, extra: str) -> list[Requirement]:
    """Requirements that hold here: without an extra, or those that the extra adds."""
    every = [Requirement(text) for text in dist.requires]
    return [one for one in every if _holds(one, extra) and not (extra and _holds(one, ""))]


def _holds(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def pinned(lines: Iterable[str]) -> Mapping[str, str]:
    """Versions by name of a file of constraints."""
    pairs = (line.strip().split("==") for line in lines if line.strip() and not line.startswith("#"))
    return {str(canonicalize_name(name)): version for name, version in pairs}
