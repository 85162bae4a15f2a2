"""What an inference takes of the device's meter, and what a million of them cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ...search.ranking.known import trial_of
from ...search.ranking.reading import Reading
from ...search.record.energy import MeteredEnergy, different
from ...search.record.evaluation import Finalist, Quantity, StudyRecord
from ...search.record.metrics import metric_info
from .deployed_section import DeployedSection, SectionRow
from .views import DASH, Cell, cell

_ENERGY, _COST = "energy_mj", "cost_per_million_usd"
_QUIET = "quiet"
Column = tuple[str, str, Callable[[Finalist], Cell]]


def energy_section(reading: Reading) -> DeployedSection | None:
    """The finalists in the order of the ranking; None where none has either figure, or a reason for none."""
    record = reading.record
    there = {one.number: one for one in record.finalists if _tells(one)}
    order = [entry.number for entry in reading.ranking.entries if entry.number in there]
    if not order:
        return None
    told = [there[number] for number in order]
    columns = _columns(told)
    rows = tuple(
        SectionRow(
            number=one.number,
            title=trial_of(record, one.number).evaluation.candidate.title,
            cells=tuple(make(one) for _, _, make in columns),
            recommended=one.number == reading.verdict.recommended,
        )
        for one in told
    )
    lines = [f"#{one.number}: {line}" for one in told for line in _remarks(one.deployed.energy, _why(one))]
    lines += [_not_comparable(told)] if different(one.deployed.energy for one in told) else []
    return DeployedSection(
        name="energy",
        title=_title(told),
        intro=_intro(told),
        columns=tuple((title, meaning) for title, meaning, _ in columns),
        rows=rows,
        lines=tuple(lines),
    )


def energy_lines(record: StudyRecord, number: int) -> list[str]:
    """Of one trial, in sentences."""
    finalist = next((one for one in record.finalists if one.number == number and _tells(one)), None)
    evaluation = trial_of(record, number).evaluation
    deployed = finalist.deployed if finalist is not None else evaluation.deployed
    energy, why = deployed.energy, deployed.untold.get(_ENERGY, "")
    lines = []
    if energy is not None:
        in_all = metric_info(_ENERGY).format(energy.in_all_mj.value)
        lines.append(
            f"Energy was read from {energy.by}, in {energy.windows} windows of {energy.window_s:.2g} s: "
            f"{in_all} in all, of which {energy.idle_w:.3g} W are drawn at rest too."
        )
    return lines + [f"Energy: {line}" for line in _remarks(energy, why)]


def _tells(one: Finalist) -> bool:
    return one.deployed.energy is not None or _ENERGY in one.deployed.untold or _COST in one.metrics


def _why(one: Finalist) -> str:
    return one.deployed.untold.get(_ENERGY, "")


def _remarks(energy: MeteredEnergy | None, why: str) -> list[str]:
    """Why there is no figure, and what speaks against one."""
    verdict = energy.verdict if energy is not None and energy.verdict != _QUIET else ""
    return [f"{one}." for one in (why and f"no figure, {why}", verdict) if one]


def _not_comparable(told: Sequence[Finalist]) -> str:
    by = ", ".join(different(one.deployed.energy for one in told))
    return f"Energies by different meters cannot be compared: {by}."


def _title(told: Sequence[Finalist]) -> str:
    energy = any(one.deployed.energy is not None or _why(one) for one in told)
    cost = any(_COST in one.metrics for one in told)
    return "Energy and cost" if energy and cost else "Energy" if energy else "Cost"


def _intro(told: Sequence[Finalist]) -> str:
    by = dict.fromkeys(one.deployed.energy.by for one in told if one.deployed.energy is not None)
    parts = []
    if by:
        parts.append(
            f"Energy of one inference by {', '.join(by)}, in windows of a loop between idle ones. In "
            "brackets is what the meter covers: figures of another scope cannot be compared with these."
        )
    if any(_COST in one.metrics for one in told):
        parts.append("Cost is derived, from the price of an hour of the device and inferences per second.")
    return " ".join(parts)


def _columns(told: Sequence[Finalist]) -> list[Column]:
    """Those that have something to show."""
    columns: list[Column] = []
    if any(one.deployed.energy is not None or _why(one) for one in told):
        columns += [
            ("Energy", "of one inference, above what the device draws at rest", _metric(_ENERGY)),
            ("In all", "of one inference, with what the device draws at rest", _of_energy(_in_all)),
            ("At rest", "what the meter tells while nothing runs", _of_energy(_at_rest)),
            ("Windows", "windows with inference, and seconds of each", _of_energy(_windows)),
        ]
    if any(_COST in one.metrics for one in told):
        columns.append(("Million inferences", "derived, by price and throughput", _metric(_COST)))
    return columns


def _metric(name: str) -> Callable[[Finalist], Cell]:
    def make(one: Finalist) -> Cell:
        found: Quantity | None = one.metrics.get(name)
        return cell(name, found)

    return make


def _of_energy(make: Callable[[MeteredEnergy], Cell]) -> Callable[[Finalist], Cell]:
    return lambda one: Cell(text=DASH) if one.deployed.energy is None else make(one.deployed.energy)


def _in_all(energy: MeteredEnergy) -> Cell:
    return cell(_ENERGY, energy.in_all_mj)


def _at_rest(energy: MeteredEnergy) -> Cell:
    return Cell(text=f"{energy.idle_w:.3g} W", value=energy.idle_w)


def _windows(energy: MeteredEnergy) -> Cell:
    return Cell(text=f"{energy.windows} x {energy.window_s:.2g} s", value=float(energy.windows))
