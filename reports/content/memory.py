"""What artifacts take in memory, by phases, as a table and in sentences."""

from __future__ import annotations

from ...search.ranking.known import trial_of
from ...search.ranking.noise import memory_line
from ...search.ranking.reading import Reading
from ...search.record.evaluation import Finalist, Limit, StudyRecord
from ...search.record.memory import Memory
from ...search.record.metrics import MEMORY_METRICS, metric_info
from .deployed_section import DeployedSection, SectionRow
from .views import DASH, Cell, cell

_PEAKS = ("memory_load_bytes", "memory_first_bytes", "memory_steady_bytes")
_COLUMNS = (
    ("Before", "what Python, numpy and the runner held before runtime and model: none of it ships"),
    ("Runtime alone", "peak of the runtime with a model that computes next to nothing"),
    ("Loading", "peak until the session is ready, above the process before"),
    ("First run", "peak of the first run, above the process before"),
    ("Steady", "peak of all further runs, above the process before"),
    ("Held", "what is held in the end, above the process before"),
    ("Of it files", "pages of libraries and models that are read in place: the system can drop them"),
)


def memory_section(reading: Reading) -> DeployedSection | None:
    """The finalists in the order of the ranking; None where none has told."""
    record, there = reading.record, {one.number: one for one in reading.record.finalists if _of(one)}
    order = [entry.number for entry in reading.ranking.entries if entry.number in there]
    if not order:
        return None
    rows = tuple(
        SectionRow(
            number=number,
            title=trial_of(record, number).evaluation.candidate.title,
            cells=_cells(there[number]),
            recommended=number == reading.verdict.recommended,
        )
        for number in order
    )
    lines = [line for number in order if (line := _growth(f"#{number}", _of(there[number])))]
    if not all(memory.apart for one in there.values() if (memory := _of(one)) is not None):
        lines.append(
            "This device lets no peak start anew: the peak of a phase is that of all before it, too."
        )
    entries = [entry for entry in reading.ranking.entries if entry.number in there]
    crossing = (memory_line(record, limit, entry) for entry in entries for limit in _limits(reading))
    return DeployedSection(
        name="memory",
        title="Memory",
        intro="Resident memory of a process that runs one finalist, in phases. Peaks are above what the "
        "process held before; small numbers are where 95 % of further processes lie.",
        columns=_COLUMNS,
        rows=rows,
        lines=(*lines, *filter(None, crossing)),
    )


def memory_lines(record: StudyRecord, number: int) -> list[str]:
    """Of one trial, in a sentence."""
    finalist = next((one for one in record.finalists if one.number == number and _of(one)), None)
    evaluation = trial_of(record, number).evaluation
    memory = _of(finalist) if finalist is not None else evaluation.deployed.memory
    if memory is None:
        return []
    metrics = finalist.metrics if finalist is not None else {**evaluation.gate, **evaluation.metrics}
    peaks = [
        f"{where} {metric_info(metric).format(metrics[metric].value)}"
        for metric, where in zip(_PEAKS, ("loading", "in the first run", "in steady state"), strict=True)
        if metric in metrics
    ]
    said = [f"Memory above the process before it, at its peak: {', '.join(peaks)}."] if peaks else []
    return said + list(filter(None, [_growth("It", memory)]))


def _of(finalist: Finalist) -> Memory | None:
    return finalist.deployed.memory


def _limits(reading: Reading) -> list[Limit]:
    return [limit for limit in reading.ranking.limits if limit.metric in MEMORY_METRICS]


def _cells(finalist: Finalist) -> tuple[Cell, ...]:
    memory = _of(finalist)
    assert memory is not None
    peaks = [cell(metric, finalist.metrics.get(metric)) for metric in _PEAKS]
    return (
        _plain(memory.process),
        _plain(memory.runtime),
        *peaks,
        _plain(memory.steady),
        _plain(memory.mapped),
    )


def _plain(amount: int | None) -> Cell:
    if amount is None:
        return Cell(text=DASH)
    return Cell(text=metric_info("memory_bytes").format(amount), value=float(amount))


def _growth(name: str, memory: Memory | None) -> str:
    """Whether memory has come to rest; a leak where it grows with every run."""
    if memory is None or (memory.settled and not memory.growth):
        return ""
    if memory.growth:
        each = metric_info("memory_bytes").format(memory.growth)
        return f"{name} leaks: each run adds about {each}, still after {memory.runs} runs."
    return f"{name} had not come to rest after {memory.runs} runs: it may take more than is shown."
