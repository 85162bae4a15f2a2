"""What users may call things: workloads, metrics, inputs and outputs."""

from __future__ import annotations

_LONGEST = 200
A_NAME = f"a text in one line of at most {_LONGEST} characters"


def is_name(value: object) -> bool:
    """Whether messages, tables and files can call something so."""
    text = value if isinstance(value, str) else ""
    return bool(text.strip()) and text.isprintable() and len(text) <= _LONGEST
