"""The HTML page: one file that opens offline, without any request to the network."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from ...search.ranking.ranking import RULES
from ...search.ranking.reading import Reading
from ...search.ranking.sentences import relaxation_text
from ...search.ranking.verdict import Verdict, number_lines
from ...search.record.evaluation import StudyRecord
from ...search.record.metrics import metric_info
from ..charts import curves, hypervolume, plots
from ..content import search_story, sections, views
from ..content.side_effects import side_effect_table


def html_page(reading: Reading) -> str:
    """The report as one HTML page. Everything that comes from users is escaped."""
    template = _environment().get_template("report.html")
    return template.render(**context(reading), plotly=Markup(get_plotlyjs()))  # noqa: S704


def context(reading: Reading) -> dict[str, Any]:
    """All that the template shows, as views."""
    record, ranking, answer = reading.record, reading.ranking, reading.verdict
    table = views.rows(reading)
    figures = {
        "front": plots.front_figure(reading),
        "hypervolume": hypervolume.hypervolume_figure(record),
        "curves": curves.curves_figure(record),
    }
    extra = relaxations(record, answer)
    numbers = number_lines(record, reading.recommended) if reading.recommended else []
    return {
        "record": record,
        "sentences": [line for line in answer.lines if line not in extra and line not in numbers],
        "facts": numbers,
        "verdict": answer,
        "badge": views.BADGES[answer.status],
        "tiles": views.tiles(reading),
        "relaxations": extra,
        "columns": views.columns(record),
        "rows": table,
        "outcomes": views.outcome_counts(table),
        "figures": {name: figure for name, figure in figures.items() if figure is not None},
        "backends": plots.colours(sorted({t.evaluation.candidate.backend for t in record.trials})),
        "trains": hypervolume.trains(record),
        "story": search_story.story(record),
        "remarks": sections.remarks(record),
        "side_effects": side_effect_table(reading),
        "problems": sections.problems(record),
        "masked": sections.masked(record),
        "importances": sections.importances(record),
        "origins": sections.origins(record),
        "environment": sections.facts(record.environment),
        "counters": sections.counters(record),
        "teacher": sections.teacher(record),
        "rules": RULES,
        "weights": [(metric_info(metric).title, weight) for metric, weight in ranking.weights.items()],
        "limits": [views.limit_text(limit) for limit in record.limits],
    }


def relaxations(record: StudyRecord, answer: Verdict) -> tuple[str, ...]:
    """What relaxing each limit would admit, in sentences; nothing where the limits are met."""
    if answer.misses is None:
        return ()
    joint = [answer.misses.joint] if answer.misses.joint is not None else []
    return tuple(relaxation_text(record, item) for item in [*answer.misses.alone, *joint])


def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("paretune.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
