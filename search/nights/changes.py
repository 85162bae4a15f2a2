"""What changed between two nights, in sentences."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence

from ...profiles.words import counted, joined
from .night import FactKind, Night, NightFact

COMMIT = "commit"
"""The name of the fact that holds the commit of the code."""
_DIGEST = 64  # digits: nobody is shown them
_MOST = 4  # of a kind are told one by one


def changes(before: Night, now: Night) -> tuple[str, ...]:
    """A sentence for each thing that differs; those that tell most come first. Empty where nothing does."""
    lines: list[str] = []
    for kind in FactKind:
        if kind is not FactKind.STATE:
            lines += _of_kind(kind, _facts(before, kind), _facts(now, kind))
    return tuple(lines)


def _facts(night: Night, kind: FactKind) -> dict[str, NightFact]:
    """Those of a kind. A commit is none: it may have changed other files than the workload's."""
    return {fact.name: fact for fact in night.facts if fact.kind is kind and fact.name != COMMIT}


def _of_kind(kind: FactKind, before: Mapping[str, NightFact], now: Mapping[str, NightFact]) -> Iterator[str]:
    if not before or not now:  # a night that came to nothing does not know all
        return
    names = [name for name in {**before, **now} if _value(before, name) != _value(now, name)]
    for name in names[: _MOST if len(names) > _MOST + 1 else None]:
        yield f"{kind.value}: {_sentence(name, before.get(name), now.get(name))}"
    if len(names) > _MOST + 1:
        yield f"{kind.value}: {counted(len(names) - _MOST, 'further change')}"


def _value(facts: Mapping[str, NightFact], name: str) -> str | None:
    return facts[name].value if name in facts else None


def _sentence(name: str, before: NightFact | None, now: NightFact | None) -> str:
    if before is None or now is None:
        return f"{name} is {'new' if before is None else 'gone'}"
    if now.shown == "" and len(now.value) == _DIGEST:
        return f"{name} has other content"
    return f"{name} {before.words} \N{RIGHTWARDS ARROW} {now.words}"


def kinds_changed(before: Night, now: Night) -> tuple[FactKind, ...]:
    """The kinds of things that differ."""
    return tuple(
        kind
        for kind in FactKind
        if kind is not FactKind.STATE and tuple(_of_kind(kind, _facts(before, kind), _facts(now, kind)))
    )


def _known_kinds(before: Night, now: Night) -> list[FactKind]:
    """Kinds that both nights know something of."""
    known = {fact.kind for fact in before.facts} & {fact.kind for fact in now.facts}
    return [kind for kind in FactKind if kind in known and kind is not FactKind.STATE]


def in_short(before: Night, now: Night) -> str:
    """Which kinds of things differ, and which do not, in a sentence."""
    changed = kinds_changed(before, now)
    same = [kind.value for kind in _known_kinds(before, now) if kind not in changed]
    since = f"since night {before.number}"
    if not changed and not same:
        return f"What changed {since} is not known."
    if not changed:
        return f"Nothing changed {since}: {joined(same)} are the same."
    kept = f" The same: {joined(same)}." if same else ""
    return f"Changed {since}: {joined([kind.value for kind in changed])}.{kept}"


def source_diff(before: Mapping[str, str], now: Mapping[str, str], most: int = 400) -> Sequence[str]:
    """The lines of a unified diff of two nights' sources; the last line tells how many were left out."""
    lines: list[str] = []
    for name in sorted({*before, *now}):
        one, other = (texts.get(name, "").splitlines() for texts in (before, now))
        lines += difflib.unified_diff(one, other, f"before/{name}", f"now/{name}", lineterm="", n=2)
    return lines if len(lines) <= most else [*lines[:most], f"... {len(lines) - most} further lines"]
