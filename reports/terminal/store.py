"""Terminal view of a store: what was freed of it, what stays, and for whom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ...profiles.words import counted
from ...search.record.metrics import metric_info
from ...search.retention.gc import GRACE_S, Amount, Collected
from ...search.retention.runs import UsingRun


def collected_text(found: Collected) -> RenderableType:
    """What was freed by kind, what stays and why, and what each run needs."""
    freed, needed, recent = (_total(part.values()) for part in (found.freed, found.needed, found.recent))
    place = f"{found.store}, the cache of {found.cache_of}" if found.cache_of else f"{found.store}"
    lines = [
        f"{place}: {'would free' if found.dry_run else 'freed'} {_amount(freed)}",
        f"needed by {counted(len(found.runs), 'run')}: {_amount(needed)}",
        *(f"  {line}" for run in found.runs for line in _run_lines(run)),
    ]
    if recent.entries:
        lines.append(f"needed by none, but asked for {_lately(found)}: {_amount(recent)}")
    lines += [f"forgotten, since it was removed: {path}" for path in found.forgotten]
    lines += _over(found)
    if found.cache_of:
        lines.append("the object store keeps all of it: what goes here is fetched again when it is asked for")
    return Group(_table(found), Text(""), *map(Text, lines))


def _table(found: Collected) -> Table:
    table = Table(show_edge=False, pad_edge=False)
    table.add_column("kind", overflow="fold")
    for title in ("would be freed" if found.dry_run else "freed", "needed", "recent"):
        table.add_column(title, justify="right", overflow="fold")
    parts = (found.freed, found.needed, found.recent)
    for kind in _kinds(parts):
        table.add_row(kind, *(_amount(part[kind]) if kind in part else "" for part in parts))
    return table


def _kinds(parts: Iterable[Mapping[str, Amount]]) -> list[str]:
    totals: dict[str, int] = {}
    for part in parts:
        for kind, amount in part.items():
            totals[kind] = totals.get(kind, 0) + amount.size_bytes
    return sorted(totals, key=lambda kind: -totals[kind])


def _run_lines(run: UsingRun) -> Iterator[str]:
    state = "at work" if run.at_work else "ended" if run.ended else "not ended: all of it is kept"
    yield f"{run.name} ({state}): {run.run_dir}"
    for reason, numbers in run.needs.trials.items():
        if run.ended:
            yield f"  {reason}: {', '.join(f'#{number}' for number in numbers)}"


def _lately(found: Collected) -> str:
    if found.sessions:
        return f"in the last {_days(found)} or since a session began that is at work ({found.sessions})"
    return f"in the last {_days(found)}"


def _days(found: Collected) -> str:
    return "hour" if found.keep_days * 86_400 <= GRACE_S else f"{found.keep_days:g} days"


def _over(found: Collected) -> list[str]:
    if not found.over_bytes:
        return []
    return [
        f"still larger than asked for, by {_size(found.over_bytes)}: the rest is needed or in use; remove "
        "the directories of runs that are of no use any more (runs/NAME), and call this again"
    ]


def _total(amounts: Iterable[Amount]) -> Amount:
    return sum(amounts, Amount())


def _amount(amount: Amount) -> str:
    return f"{_size(amount.size_bytes)} in {amount.entries}"


def _size(size: int) -> str:
    return metric_info("size_bytes").format(size)
