"""The sections about what deployment asks beside a latency, in order, each where it has something to show."""

from __future__ import annotations

from ...search.ranking.reading import Reading
from ...search.record.evaluation import StudyRecord
from .deployed_section import DeployedSection
from .energy import energy_lines, energy_section
from .loads import loads_section, throughput_lines, throughput_section
from .memory import memory_lines, memory_section
from .options import option_lines, options_section
from .placement import placement_lines, placement_section
from .sustained import sustained_lines, sustained_section

_SECTIONS = (
    options_section,
    throughput_section,
    loads_section,
    memory_section,
    placement_section,
    energy_section,
    sustained_section,
)
_LINES = (
    option_lines,
    throughput_lines,
    memory_lines,
    placement_lines,
    energy_lines,
    sustained_lines,
)


def deployed_sections(reading: Reading) -> tuple[DeployedSection, ...]:
    """Those of a report."""
    found = (section(reading) for section in _SECTIONS)
    return tuple(one for one in found if one is not None)


def deployed_lines(record: StudyRecord, number: int) -> list[str]:
    """Of one trial, in sentences."""
    return [line for lines in _LINES for line in lines(record, number)]
