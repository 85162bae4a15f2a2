"""Where finalists run: which kernel or delegate has their nodes, and why not the one that was meant."""

from __future__ import annotations

from ...search.ranking.fallbacks import fallbacks, placed_of
from ...search.ranking.known import trial_of
from ...search.ranking.reading import Reading
from ...search.record.deployed import Deployed
from ...search.record.evaluation import StudyRecord
from ...search.record.metrics import DELEGATED
from ...search.record.placed import Placed, PlacedGroup
from .deployed_section import DeployedSection, SectionRow
from .views import DASH, Cell

_COLUMNS = (
    ("Nodes", "what the runtime executes: each node once, but what moves and computes nothing"),
    ("As meant", "share of the nodes that run where and as the file asks for on this runtime"),
    ("Time as meant", "the share of the nodes' time that these take, where the runtime times nodes"),
    ("Meant for", "what runs them where nothing falls back"),
    ("Slowest", "what takes the largest share of the time"),
)
_MOST_KINDS, _MOST_GROUPS = 8, 12


def placement_section(reading: Reading) -> DeployedSection | None:
    """The finalists in the order of the ranking; None where no runtime has told."""
    record = reading.record
    finalists = {one.number: one.deployed for one in record.finalists}
    order = [entry.number for entry in reading.ranking.entries if entry.number in finalists]
    found = {number: placed for number in order if (placed := finalists[number].placed) is not None}
    if not found:
        return None
    rows = tuple(
        SectionRow(
            number=number,
            title=trial_of(record, number).evaluation.candidate.title,
            cells=_cells(placed),
            recommended=number == reading.verdict.recommended,
        )
        for number, placed in found.items()
    )
    lines = [f"#{number}: {line}" for number, placed in found.items() for line in _others(placed)]
    lines += [f"#{n}: {why}." for n in order for why in _why(finalists[n]) if n not in found]
    return DeployedSection(
        name="placement",
        title="Where it runs",
        intro="Which kernel or delegate has the nodes of each finalist. A runtime that has none for a node "
        "falls back without a word, to a slower kernel or another type.",
        columns=_COLUMNS,
        rows=rows,
        lines=tuple(lines or ["All nodes run as they were meant to."]),
    )


def placement_lines(record: StudyRecord, number: int) -> list[str]:
    """Of one trial: how many nodes run as meant, and those that do not with the reason."""
    placed, untold = placed_of(record, number), trial_of(record, number).evaluation.deployed.untold
    if placed is None:
        return [f"Where it runs is not known: {why}." for name, why in untold.items() if name == DELEGATED]
    time = "" if placed.share_of_time is None else f", {_share(placed.share_of_time).text} of the time"
    head = f"{placed.as_meant} of {placed.nodes} nodes{time} run as meant: {placed.intended}."
    return [head, *_others(placed)]


def placement_table(record: StudyRecord, number: int) -> list[str]:
    """Of one trial: its nodes by kernel as a table in Markdown; nothing where the runtime does not tell."""
    placed = placed_of(record, number)
    if placed is None:
        return []
    head = ["| kernel | place | nodes | time | as meant |", "|---|---|---|---|---|"]
    rows = [_row(group) for group in placed.groups[:_MOST_GROUPS]]
    rest = placed.nodes - sum(group.nodes for group in placed.groups[:_MOST_GROUPS])
    return [*head, *rows, *([f"| others | | {rest} | | |"] if rest else [])]


def _why(deployed: Deployed) -> list[str]:
    return [why for name, why in deployed.untold.items() if name == DELEGATED]


def _row(group: PlacedGroup) -> str:
    time, meant = _share(group.share_of_time).text, "yes" if group.intended else "no"
    return f"| {group.kernel} | {group.place} | {group.nodes} | {time} | {meant} |".replace("\n", " ")


def _others(placed: Placed) -> list[str]:
    kinds = fallbacks(placed)
    lines = []
    for one in kinds[:_MOST_KINDS]:
        node = one.first
        taken = "" if one.share_of_time is None else f", {_share(one.share_of_time).text} of the time"
        which = f"{one.count} x {node.op}, first {node.name}" if one.count > 1 else f"{node.op} ({node.name})"
        lines.append(f"{which}, run by {node.kernel} on {node.place}{taken}: {node.reason}.")
    rest = placed.unlisted + sum(one.count for one in kinds[_MOST_KINDS:])
    return [*lines, *([f"And {rest} more nodes that do not run as meant."] if rest else [])]


def _cells(placed: Placed) -> tuple[Cell, ...]:
    slowest = placed.slowest[:1]
    said = [f"{node.op} ({_share(node.share_of_time).text})" for node in slowest]
    return (
        Cell(text=str(placed.nodes), value=float(placed.nodes)),
        _share(placed.share_of_nodes),
        _share(placed.share_of_time),
        Cell(text=placed.intended),
        Cell(text=said[0] if said else DASH),
    )


def _share(share: float | None) -> Cell:
    """In per cent; what is not all of it is not rounded to that."""
    if share is None:
        return Cell(text=DASH)
    shown = min(round(100 * share, 1), 99.9) if share < 1 else 100.0
    return Cell(text=f"{shown:g} %", value=share)
