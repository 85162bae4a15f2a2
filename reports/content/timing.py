"""How sharply latencies can be told apart on the device, as rows of name and text."""

from __future__ import annotations

from ...search.record.evaluation import StudyRecord


def timing_facts(record: StudyRecord) -> list[tuple[str, str]]:
    """What the A/A at the start of the study has told; nothing for studies that had none."""
    timing = record.timing
    if timing is None:
        return []
    seen = f"{timing.processes} were compared" if timing.processes else "assumed: fewer than 3 compared"
    shortened = [("less than was asked for", timing.shortened)] if timing.shortened else []
    return [
        ("two processes of one model", f"differ here by {percent(timing.process_spread)} ({seen})"),
        ("latencies can be told apart", f"from {percent(timing.told_apart)} on, each measured once"),
        ("measured on", _cores(timing.cores)),
        *shortened,
    ]


def percent(share: float) -> str:
    """ "0.52 %", "8 %": two digits."""
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"


def _cores(cores: tuple[int, ...]) -> str:
    if not cores:
        return "any core: this device does not let a process choose"
    return f"{'core' if len(cores) == 1 else 'cores'} {', '.join(map(str, cores))}, the same for all"
