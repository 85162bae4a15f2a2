"""What the untrained networks of a recorded space tell, as a table keeps it: `untrained.json`, by network."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from paretune.search.record.candidate import Candidate
from paretune.search.record.untrained import Untrained
from pydantic import TypeAdapter

UNTRAINED = "untrained.json"
_TOLD = TypeAdapter(dict[str, Untrained])


def network_of(candidate: Candidate) -> str:
    """What names the network of a candidate, whatever runs it."""
    student = " ".join(f"{name}={value}" for name, value in sorted(candidate.student))
    return f"{student or 'teacher'} {candidate.sparsity}"


def write_untrained(told: Mapping[str, Untrained], directory: Path) -> None:
    """Into the table's directory."""
    (directory / UNTRAINED).write_bytes(_TOLD.dump_json(dict(told), indent=1) + b"\n")


def read_untrained(directory: Path) -> Mapping[str, Untrained]:
    """By `network_of`; none where the table has none.

    Raises:
        ValueError: the file holds something else.
    """
    path = directory / UNTRAINED
    return _TOLD.validate_json(path.read_bytes()) if path.is_file() else {}
