"""How much worse each metric may become before it counts: `latency 3 %`, `accuracy 0.2 pt`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ...profiles.errors import UserError, at_place
from ...profiles.text.units import parse_quantity
from ...profiles.words import one_line
from ..record.checks import CHECKS, DECISIONS, INPUTS, OUTPUTS, PREDICTIONS, RANGE, WORST_CLASS
from ..record.limits import SHORT_NAMES, dimension_of, metric_name
from ..record.metrics import SIDE_EFFECTS, metric_info

_FORMS = (
    "METRIC NUMBER UNIT, say 'latency 3 %', 'accuracy 0.2 pt', 'memory 5 %', 'size 0 %', 'latency 0.1 ms'"
)


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """The change towards worse that passes. `relative`: `amount` is a share of what was (0.03 is 3 %), else
    it is in the metric's unit. `stated`: the user has said so."""

    amount: float
    relative: bool = True
    stated: bool = False


def _share(amount: float) -> Tolerance:
    return Tolerance(amount=amount, relative=False)


DEFAULTS: Mapping[str, Tolerance] = {
    "latency_ms": Tolerance(amount=0.05),
    "latency_ratio": Tolerance(amount=0.05),
    "latency_min_ms": Tolerance(amount=0.05),
    "latency_p90_ms": Tolerance(amount=0.10),
    "latency_p99_ms": Tolerance(amount=0.25),
    "load_ms": Tolerance(amount=0.50),
    "first_inference_ms": Tolerance(amount=0.50),
    "memory_bytes": Tolerance(amount=0.05),
    "memory_load_bytes": Tolerance(amount=0.05),
    "memory_first_bytes": Tolerance(amount=0.05),
    "memory_steady_bytes": Tolerance(amount=0.05),
    "throughput_per_s": Tolerance(amount=0.05),
    "energy_mj": Tolerance(amount=0.10),
    "cost_per_million_usd": Tolerance(amount=0.05),
    "size_bytes": Tolerance(amount=0.01),
    "compressed_bytes": Tolerance(amount=0.01),
    "parameters": Tolerance(amount=0.0),
    "macs": Tolerance(amount=0.0),
    "delegated": _share(0.0),
    "psnr": _share(0.1),
    **{name: _share(0.01) for name in SIDE_EFFECTS},
    "worst_class_drop": _share(0.03),
    OUTPUTS: _share(0.1),
    DECISIONS: _share(0.005),
    INPUTS: _share(0.2),
    PREDICTIONS: _share(0.2),
    RANGE: _share(0.01),
    WORST_CLASS: _share(0.03),
}
"""What is tolerated where the user says nothing."""
_OF_SHARES, _OF_OTHERS = _share(0.005), Tolerance(amount=0.01)
"""Of a quality that the table above does not name: half a point, or 1 % of a number."""


@dataclass(frozen=True, kw_only=True)
class Tolerances:
    """What passes, by metric; `stated` is what the user said."""

    stated: Mapping[str, Tolerance] = field(default_factory=dict)

    def of(self, metric: str) -> Tolerance:
        """What is said of latency holds for its ratio to the reference as well."""
        said = self.stated.get(metric)
        if said is None and metric == "latency_ratio":
            said = self.stated.get("latency_ms")
            said = said if said is not None and said.relative else None
        if said is not None:
            return said
        usual = _OF_SHARES if metric_info(metric).unit == "share" else _OF_OTHERS
        return DEFAULTS.get(metric, usual)


def read_tolerances(texts: Sequence[str], quality: str) -> Tolerances:
    """Read what `--tolerate` was given, one or several to a text (`latency 3 %, accuracy 0.2 pt`); `quality`
    is the name of the workload's metric.

    Raises:
        UserError: one cannot be read, has an unknown metric or unit, is negative, or is there twice.
    """
    stated: dict[str, Tolerance] = {}
    for text in (part for whole in texts for part in re.split(r"[,;]", whole)):
        with at_place("--tolerate"):
            metric, tolerance = _read(text, quality)
            if metric in stated:
                raise UserError("this metric is named twice", found=one_line(repr(text), 80))
            stated[metric] = tolerance
    return Tolerances(stated=stated)


def _read(text: str, quality: str) -> tuple[str, Tolerance]:
    match = re.fullmatch(r"\s*([A-Za-z_]\w*)(?:\s*(?:[:=]|<=)\s*|\s+)(\S.*?)\s*", text)
    if match is None:
        raise UserError("cannot read this tolerance", found=one_line(repr(text), 80), accepted=_FORMS)
    metric, amount = _metric(match[1], quality), match[2]
    tolerance = _of_share(metric, amount) if _is_share(metric) else _of_number(metric, amount)
    if tolerance.amount < 0:
        raise UserError("must not be negative", found=one_line(repr(text), 80), accepted=_FORMS)
    if tolerance.amount > 1 and (_is_share(metric) or _loses_all(metric, tolerance)):
        raise UserError("nothing could ever fail this", found=one_line(repr(text), 80), accepted=_FORMS)
    return metric, tolerance


def _metric(name: str, quality: str) -> str:
    if name in CHECKS and name in DEFAULTS:
        return name
    try:
        return metric_name(name, quality)
    except UserError as error:
        checks = [check for check in CHECKS if check in DEFAULTS]
        near = difflib.get_close_matches(name, [quality, *SHORT_NAMES, *checks], n=1)
        raise UserError(
            error.problem,
            found=error.found,
            accepted=", ".join([error.accepted, *checks]),
            remedy=f"did you mean {near[0]!r}?" if near else error.remedy,
        ) from None


def _is_share(metric: str) -> bool:
    return metric in (DECISIONS, RANGE, WORST_CLASS) or metric_info(metric).unit == "share"


def _loses_all(metric: str, tolerance: Tolerance) -> bool:
    return tolerance.relative and metric_info(metric).higher_is_better


def _of_share(metric: str, amount: str) -> Tolerance:
    """A share differs by points; a per cent of one can be meant in two ways, but of what flips."""
    relative = re.fullmatch(r"(.*%)\s*relative", amount)
    if relative:
        return Tolerance(amount=parse_quantity(relative[1], "share"), stated=True)
    amount = re.sub(r"\s*absolute$", "", amount)
    if metric not in (DECISIONS, RANGE) and not re.search(r"(pt|pts|points?|pp)$", amount):
        raise UserError(
            "a change of a share can be meant in two ways" if "%" in amount else "a unit is missing",
            found=one_line(repr(f"{metric} {amount}"), 80),
            accepted=f"'{metric} 0.2 pt' (98 % to 97.8 %) or '{metric} 0.2 % relative' (98 % to 97.804 %)",
        )
    return Tolerance(amount=parse_quantity(amount, "share"), relative=False, stated=True)


def _of_number(metric: str, amount: str) -> Tolerance:
    amount = re.sub(r"\s*relative$", "", amount)
    if re.search(r"(%|percent)$", amount):
        return Tolerance(amount=parse_quantity(amount, "number"), stated=True)
    try:
        return Tolerance(amount=parse_quantity(amount, dimension_of(metric)), relative=False, stated=True)
    except UserError as error:
        raise UserError(
            error.problem, found=error.found, accepted=f"% (3 % of what was), {error.accepted}"
        ) from None
