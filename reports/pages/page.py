"""The report as a page that opens offline, without any request to the network, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from ...profiles.words import printable
from ...search.ranking.reading import Reading
from ...search.ranking.sentences import miss_lines
from ...search.ranking.verdict import number_lines
from ...search.record.metrics import metric_info
from ..charts import curves, hypervolume, loads, plots, slopes, stage_times, sustained, worker_times
from ..content import elsewhere, estimated, search_story, sections, views
from ..content.columns import columns
from ..content.deployed import deployed_sections
from ..content.side_by_side import side_by_side
from ..content.side_effects import side_effect_table
from ..content.timing import timing_facts
from ..content.watched import watched_facts
from ..content.workers import workers_section
from .markdown import markdown_text


def html_page(reading: Reading, first: Reading | None = None) -> str:
    """The report as one HTML page. Everything that comes from users is escaped. `first` is the study whose
    models this one has, if it is retargeted."""
    shown = content(reading, first)
    figures = {
        "front": plots.front_figure(reading),
        "hypervolume": hypervolume.hypervolume_figure(reading.record),
        "curves": curves.curves_figure(reading.record),
        "sustained": sustained.sustained_figure(reading),
        "stages": stage_times.stage_times_figure(reading.record),
        "workers": worker_times.worker_times_figure(reading.record),
        "loads": loads.loads_figure(reading),
        "slopes": None if shown["both"] is None else slopes.slopes_figure(shown["both"]),
    }
    return rendered(
        "report.html",
        shown,
        figures={name: figure for name, figure in figures.items() if figure is not None},
        plotly=plotly(),
    )


def plotly() -> Markup:
    """The script that draws the figures of a page."""
    script = files("paretune.reports") / "vendor" / "plotly-basic.min.js"
    return Markup(script.read_text(encoding="utf-8"))  # noqa: S704


def markdown_report(reading: Reading, first: Reading | None = None) -> str:
    """The same content as Markdown, for terminals, issues and mails."""
    text = rendered("report.md", content(reading, first))
    return re.sub(r"\n{3,}", "\n\n", text).rstrip("\n") + "\n"


def content(reading: Reading, first: Reading | None = None) -> dict[str, Any]:
    """All that the templates show, but for figures."""
    record, ranking, answer = reading.record, reading.ranking, reading.verdict
    table = views.rows(reading)
    extra = [] if answer.misses is None else miss_lines(record, answer.misses)
    numbers = number_lines(record, reading.recommended) if reading.recommended else []
    return {
        "record": record,
        "sentences": [line for line in answer.lines if line not in extra and line not in numbers],
        "facts": numbers,
        "verdict": answer,
        "badge": views.badge(answer),
        "tiles": views.tiles(reading),
        "relaxations": extra,
        "columns": columns(record),
        "quality_title": metric_info(record.quality).title,
        "rows": table,
        "outcomes": views.outcome_counts(table),
        "backends": plots.colours(sorted(_backends(reading, *([] if first is None else [first])))),
        "both": None if first is None else side_by_side(first, reading),
        "trains": hypervolume.trains(record),
        "story": search_story.story(record),
        "remarks": sections.remarks(record),
        "workers": workers_section(record),
        "side_effects": side_effect_table(reading),
        "deployed": deployed_sections(reading),
        "problems": sections.problems(record),
        "masked": sections.masked(record),
        "importances": sections.importances(record),
        "origins": sections.origins(record),
        "environment": [*sections.facts(record.environment), *timing_facts(record), *watched_facts(record)],
        "agreement": elsewhere.agreement_rows(record),
        "differences": elsewhere.differences(record),
        "counters": sections.counters(record),
        "teacher": sections.teacher(record),
        "rules": estimated.rules(record),
        "estimates": estimated.estimates(record),
        "intervals": estimated.intervals(record),
        "weights": [(metric_info(metric).title, weight) for metric, weight in ranking.weights.items()],
        "limits": [views.limit_text(limit) for limit in record.limits],
    }


def _backends(*readings: Reading) -> set[str]:
    return {t.evaluation.candidate.backend for reading in readings for t in reading.record.trials}


def rendered(template: str, shown: Mapping[str, Any], **more: Any) -> str:
    """A template with its values, which are escaped for its language: by Jinja in HTML, by `markdown_text` in
    Markdown."""
    environment = Environment(
        loader=PackageLoader("paretune.reports"),
        autoescape=select_autoescape(["html"]),
        finalize=markdown_text if template.endswith(".md") else _visible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**shown, **more)


def _visible(value: Any) -> Any:
    """Text without what turns it round or is not seen; scripts and figures as they are."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return printable(value, len(value)) if is_text else value
