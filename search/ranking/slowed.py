"""Devices that were slowed down while something was measured on them, in sentences."""

from __future__ import annotations

from ...profiles.watched import CLOCK, COUNT, FLAG, REFERENCE, Slowdown
from ..record.evaluation import StudyRecord, Watched

_KNOWN = {
    FLAG: "as the device says",
    COUNT: "as the device counts",
    CLOCK: "its clock fell and stayed low",
    REFERENCE: "seen in the reference, which is in every round; what slows the device cannot be read there",
}
_COOL = "let it cool, or give it power or a fixed lower clock"
_ALONE = "end what else runs there, or let it cool"


def watched_of(record: StudyRecord, number: int) -> Watched | None:
    """How the device was when the numbers that count were taken: those as a finalist, else the search's."""
    for finalist in record.finalists:
        if finalist.number == number and finalist.watched is not None:
            return finalist.watched
    found = next((trial for trial in record.trials if trial.number == number), None)
    return found.evaluation.watched if found else None


def slowdown_text(found: Slowdown) -> str:
    """ "throttled from round 12 on (heat, as the device says; the reference took 23 % longer)"."""
    word = "slower" if found.known_by == REFERENCE else "throttled"
    why = ", ".join(filter(None, (found.cause, _KNOWN.get(found.known_by, ""))))
    slower = found.slower or 0.0
    longer = f"; the reference took {100 * slower:.0f} % longer" if slower >= 0.005 else ""
    return f"{word} {_when(found)} ({why}{longer})"


def _when(found: Slowdown) -> str:
    if found.last_round is None:
        return "in all rounds" if found.first_round == 1 else f"from round {found.first_round} on"
    if found.last_round == found.first_round:
        return f"in round {found.first_round}"
    return f"in rounds {found.first_round} to {found.last_round}"


def slowed_line(record: StudyRecord, number: int) -> str:
    """Of one trial, "" where its device was not slowed down, or nothing tells of it."""
    seen = watched_of(record, number)
    if seen is None or seen.slowdown is None:
        return ""
    return f"While this was measured the device was {slowdown_text(seen.slowdown)}."


def slowed_warnings(record: StudyRecord, recommended: int | None) -> tuple[str, ...]:
    """Where the numbers of finalists, or of the recommended candidate, were taken on a device that was slowed
    down: what to do."""
    asked = [one.number for one in record.finalists] + ([] if recommended is None else [recommended])
    slowed: dict[Slowdown, list[str]] = {}  # finalists are measured together
    for number in dict.fromkeys(asked):
        seen = watched_of(record, number)
        if seen is not None and seen.slowdown is not None:
            slowed.setdefault(seen.slowdown, []).append(f"#{number}")
    return tuple(
        f"The device was {slowdown_text(found)} while {', '.join(numbers)} ran. To mend it, "
        f"{_ALONE if found.known_by == REFERENCE else _COOL}, and measure again: `paretune run --again`."
        for found, numbers in slowed.items()
    )
