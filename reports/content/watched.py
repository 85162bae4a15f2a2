"""How the device was while a study measured on it, as rows of name and text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...search.ranking.slowed import slowdown_text
from ...search.record.evaluation import StudyRecord, Watched


def watched_facts(record: StudyRecord) -> list[tuple[str, str]]:
    """Over all measurements of a study; nothing for studies that were run before devices were watched."""
    by_trial = [(t.number, t.evaluation.watched) for t in record.trials if t.duplicate_of is None]
    seen = [(f"#{number}", one) for number, one in by_trial if one is not None]
    seen += [(f"finalist #{one.number}", one.watched) for one in record.finalists if one.watched is not None]
    if not seen:
        return []
    all_of = [one for _, one in seen]
    quotas = [one.quota_cores for one in all_of if one.quota_cores is not None]
    rows = [
        ("governor while measured", _names(one.governor for one in all_of)),
        ("power mode while measured", _names(one.power_mode for one in all_of)),
        ("clock while measured", range_text([one.clock_mhz for one in all_of], "MHz")),
        ("temperature while measured", range_text([one.temperature_c for one in all_of], "°C")),
        ("quota while measured", f"the time of {min(quotas):.4g} cores" if quotas else ""),
        ("throttled while measured", _slowed(seen)),
    ]
    return [(name, text) for name, text in rows if text]


def _names(found: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(filter(None, found)))


def range_text(ends: Sequence[tuple[float, float] | None], unit: str) -> str:
    """ "600 to 2400 MHz"; "" where nothing was read."""
    known = [pair for pair in ends if pair is not None]
    if not known:
        return ""
    low, high = min(low for low, _ in known), max(high for _, high in known)
    return f"{low:.0f} {unit}" if round(low) == round(high) else f"{low:.0f} to {high:.0f} {unit}"


def _slowed(seen: Sequence[tuple[str, Watched]]) -> str:
    """The measurements in which the device was slowed down; whether it could have been known."""
    slowed: dict[str, list[str]] = {}
    for name, one in seen:
        if one.slowdown is not None:
            slowed.setdefault(slowdown_text(one.slowdown), []).append(name)
    if slowed:
        return "; ".join(f"{', '.join(names)}: {text}" for text, names in slowed.items())
    if any(one.slowed is not None or one.clock_mhz is not None for _, one in seen):
        return "no"
    return "no change of speed was seen; the device tells of neither clock nor throttling"


def watched_text(seen: Watched) -> str:
    """Of one measurement: "clock 600 to 2400 MHz, at most 81 °C, governor ondemand"; "" where nothing was
    read."""
    clock = range_text([seen.clock_mhz], "MHz")
    parts = [
        f"clock {clock}" if clock else "",
        range_text([seen.temperature_c], "°C"),
        f"governor {seen.governor}" if seen.governor else "",
        f"power mode {seen.power_mode}" if seen.power_mode else "",
        f"{100 * seen.quota_cut:.1f} % of the quota's periods cut short" if seen.quota_cut else "",
    ]
    return ", ".join(filter(None, parts))
