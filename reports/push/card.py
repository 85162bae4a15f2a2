"""The model card: what a candidate is and what is known of it, written from the record alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from ...backends.registry import get_backend
from ...profiles.errors import UserError
from ...search.ranking.as_run import as_run_lines
from ...search.ranking.fallbacks import fallback_warnings
from ...search.ranking.known import TEST, VALIDATION, bound_for, violations
from ...search.ranking.sentences import quantity_text
from ...search.ranking.slowed import slowed_line
from ...search.record.evaluation import Quantity
from ...search.record.metrics import SIDE_EFFECTS, metric_info
from ..content.columns import shown_metrics
from ..content.ladder import coverage_text, ladder_lines, sparsity_text
from ..content.side_effects import MEANINGS
from ..content.views import cell, limit_text
from ..pages.explain import configuration_lines
from ..pages.page import rendered
from .parcel import Parcel

UNKNOWN_TASK = "unknown"
_ASKED_APART = ("energy_mj", "memory_bytes", "throughput_per_s", "latency_p99_ms")
"""What deployments ask for and a study may leave out."""


def model_card(parcel: Parcel, name: str, license_id: str = "") -> str:
    """The card as Markdown under a head of YAML, as the Hugging Face hub reads it."""
    head = yaml.safe_dump(front_matter(parcel, name, license_id), sort_keys=False, allow_unicode=True)
    return f"---\n{head.rstrip()}\n---\n\n{card_text(parcel, name, license_id)}"


def card_text(parcel: Parcel, name: str, license_id: str = "") -> str:
    """The card without its head."""
    bundle, record = parcel.bundle, parcel.record
    evaluation = parcel.trial.evaluation
    warned = (slowed_line(record, bundle.trial), *fallback_warnings(record, bundle.trial))
    shown = {
        "name": name,
        "license": license_id,
        "bundle": bundle,
        "record": record,
        "runtime": _runtime(parcel),
        "estimated": record.estimated is not None,
        "warnings": [line for line in warned if line],
        "made": [line.removeprefix("- ") for line in configuration_lines(evaluation.candidate)],
        "teacher": record.teacher.get("task", ""),
        "repaired": [line.removeprefix("- ") for line in ladder_lines(record, parcel.trial)],
        "stored": [text for text in (coverage_text(evaluation), sparsity_text(evaluation)) if text],
        "rows": _number_rows(parcel),
        "limits": _limit_rows(parcel),
        "side_effects": _side_effects(parcel),
        "as_run": as_run_lines(record, bundle.trial),
        "artifact": bundle.artifact.name,
        "sha256": parcel.artifact_sha256,
        "content": parcel.content,
        "unchecked": unchecked(parcel),
    }
    return rendered("card.md", shown)


def front_matter(parcel: Parcel, name: str, license_id: str = "") -> dict[str, Any]:
    """What the hub reads: tags to find it by, and its numbers as a model index."""
    bundle, task = parcel.bundle, str(parcel.record.teacher.get("task", UNKNOWN_TASK))
    head: dict[str, Any] = {"license": license_id} if license_id else {}
    kinds = [task] if task != UNKNOWN_TASK else []
    kinds += ["distillation"] if parcel.trial.evaluation.candidate.recipe else []
    return head | {
        "library_name": _runtime(parcel),
        "tags": ["paretune", bundle.backend, str(bundle.precision), *kinds],
        "metrics": [parcel.record.quality],
        "model-index": [{"name": name, "results": _results(parcel, task)}],
    }


def _results(parcel: Parcel, task: str) -> list[dict[str, Any]]:
    by_split: dict[str, list[dict[str, Any]]] = {}
    wanted = {*shown_metrics(parcel.record), *_ASKED_APART}
    for metric, quantity, split in _numbers(parcel):
        if metric not in wanted:
            continue
        by_split.setdefault(split or _split(parcel), []).append(_result(metric, quantity, parcel))
    workload = parcel.record.workload
    return [
        {
            "task": {"type": task, "name": task},
            "dataset": {"type": workload, "name": workload, "split": split},
            "metrics": found,
        }
        for split, found in by_split.items()
    ]


def _result(metric: str, quantity: Quantity, parcel: Parcel) -> dict[str, Any]:
    told = {"low": quantity.low, "high": quantity.high, "device": parcel.bundle.profile}
    told |= {"provenance": quantity.provenance}
    title = metric_info(metric).title
    args = {name: value for name, value in told.items() if value is not None}
    return {"type": metric, "value": quantity.value, "name": title, "args": args}


def _split(parcel: Parcel) -> str:
    return TEST if parcel.finalist is not None else VALIDATION


def _numbers(parcel: Parcel) -> Iterable[tuple[str, Quantity, str]]:
    """Each metric but side effects, the quality with its split."""
    quality = parcel.record.quality
    named = parcel.metrics
    first = [name for name in (f"test_{quality}", quality) if name in named]
    for name in (*first, *(other for other in named if other not in first)):
        quantity = named[name]
        metric = name.removeprefix("test_")
        tested = name != metric
        if metric in SIDE_EFFECTS or (not tested and f"test_{name}" in parcel.metrics and name != quality):
            continue
        yield metric, quantity, (TEST if tested else VALIDATION) if metric == quality else ""


def _number_rows(parcel: Parcel) -> list[tuple[str, str, str, str]]:
    """Title, value, interval and how it was obtained."""
    rows = []
    for metric, quantity, split in _numbers(parcel):
        shown = cell(metric, quantity)
        title = metric_info(metric).title + (f" ({split})" if split else "")
        rows.append((title, shown.text, shown.interval, quantity.how))
    return rows


def _limit_rows(parcel: Parcel) -> list[tuple[str, str]]:
    """Each limit of the study, and whether this candidate meets it."""
    limits, source = parcel.reading.ranking.limits, _split(parcel)
    missed = violations([bound_for(limit, source) for limit in limits], parcel.bundle.metrics, source)
    known = {limit.text for limit in limits if limit.metric in parcel.bundle.metrics}
    return [
        (limit_text(limit), _met(missed[limit.text]) if limit.text in known else "not measured")
        for limit in limits
    ]


def _met(miss: float) -> str:
    return "met" if miss <= 0 else "MISSED"


def _side_effects(parcel: Parcel) -> list[tuple[str, str, str, str]]:
    """Title, value, what it means, and what it was taken from."""
    found = parcel.finalist.side_effects if parcel.finalist is not None else {}
    return [
        (metric_info(name).title, quantity_text(name, found[name]), MEANINGS[name], found[name].how)
        for name in SIDE_EFFECTS
        if name in found
    ]


def _runtime(parcel: Parcel) -> str:
    """The package that runs it."""
    packages = get_backend(parcel.bundle.backend).packages
    named = (name for name in packages if name in parcel.bundle.versions)
    return next(named, packages[0] if packages else parcel.bundle.backend)


def unchecked(parcel: Parcel) -> list[str]:
    """What nobody has looked at, so that no reader takes silence for an answer."""
    bundle, record = parcel.bundle, parcel.record
    lines = []
    if record.estimated is not None:
        lines.append(f"Nothing was run on {record.estimated.device}: its costs are estimates.")
    if f"test_{record.quality}" not in parcel.metrics:
        lines.append(
            "It was not scored on the test split, nor measured again beside others: its quality is that on "
            "the samples by which the search chose."
        )
    if parcel.finalist is None or not parcel.finalist.side_effects:
        lines.append("What compression does to single classes, to confidence and to agreement.")
    missing = [metric_info(name).title.lower() for name in _ASKED_APART if name not in bundle.metrics]
    lines += [f"Not measured: {', '.join(missing)}."] if missing else []
    if record.untried:
        lines.append(f"Simple choices that were not tried: {'; '.join(record.untried)}.")
    lines.append(f"Devices other than {bundle.profile}, and other versions of the runtime.")
    lines.append(
        "Inputs unlike the samples it was scored on, groups of people or things in them, and what somebody "
        "would do on purpose to fool it."
    )
    return lines


def check_license(license_id: str) -> None:
    """Raises:
    UserError: it is no identifier of a license as the hub knows them.
    """
    plain = license_id.replace("-", "").replace(".", "").replace("+", "")
    if license_id and not (plain.isascii() and plain.isalnum() and license_id == license_id.lower()):
        raise UserError(
            "not the identifier of a license",
            place="--license",
            found=repr(license_id),
            accepted="one as the hub writes them: apache-2.0, mit, cc-by-4.0, other",
        )
