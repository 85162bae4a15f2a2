"""Outputs of an artifact on a device against those that are wanted: by form, then by what may differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ....profiles.errors import StageError
from ....profiles.precision import Precision
from ...record.agreement import FLOAT_MODEL, HERE, Agreement
from ...workload.outputs import Layout, OutputChoice
from ...workload.workload import Array
from .tolerance import Difference, difference, share_at_least, share_at_most

SATURATING = (Precision.INT8, Precision.INT8_DYNAMIC)
"""What has sums of 8-bit products, which saturate on some processors."""
_COARSE_BITS = 8
"""Of what the float model differs from an artifact with such weights is not known where it never ran here."""
SATURATION = (
    "sums of 8-bit products saturate at 16 bits on one of both processors and not on the other: the score is "
    "that of the device"
)


def judged(
    artifact: Mapping[str, Any],
    wanted: Mapping[str, Array],
    parts: Sequence[Mapping[str, Array]],
    choice: OutputChoice,
    *,
    saturates: bool = False,
    by_float: bool = False,
    here: str = "here",
) -> Agreement:
    """How the outputs of an `artifact` (its manifest's) compare; that with the least room decides.

    `wanted` are the outputs here, `parts` those of the first samples on the device, one after the other.
    `saturates`: one of both processors does, see `difference`. `by_float`: the float model's are wanted.
    `here` is what messages call those that are wanted.
    """
    names = tuple(dict.fromkeys((choice.primary, *choice.scored)))
    against = FLOAT_MODEL if by_float else HERE
    rows = 0
    try:
        got = {name: np.concatenate([choice.by_name(part)[name] for part in parts]) for name in names}
        rows = len(got[choice.primary])
        due = {name: array[:rows] for name, array in choice.by_name(wanted).items()}
        wrong = _wrong_form(due, got, names, here)
    except (StageError, ValueError) as error:  # a name that is missing, parts that do not fit together
        wrong = str(error)
    if wrong:
        return Agreement(agrees=False, output=choice.primary, samples=rows, why=wrong, against=against)

    def least_room(saturates: bool) -> tuple[str, Difference]:
        found = {n: _difference(artifact, n, due, got, saturates, by_float) for n in names}
        worst = min(names, key=lambda name: found[name].room)
        return worst, found[worst]

    precision = Precision(artifact["precision"])
    worst, found = least_room(saturates=by_float and precision.decoded.weight_bits <= _COARSE_BITS)
    known = ""
    if found.beyond and saturates and precision in SATURATING:
        worst, found = least_room(saturates=True)
        known = "" if found.beyond else SATURATION
    return replace(_agreement(found, worst, rows, known), against=against)


def _difference(
    artifact: Mapping[str, Any],
    name: str,
    here: Mapping[str, Array],
    got: Mapping[str, Array],
    saturates: bool,
    by_float: bool,
) -> Difference:
    errors = {} if by_float else artifact.get("errors") or {}
    own = next(iter(errors.values())) if len(errors) == len(here) == 1 else errors.get(name, {})
    return difference(here[name], got[name], Precision(artifact["precision"]), own, saturates=saturates)


def _wrong_form(
    wanted: Mapping[str, Array], got: Mapping[str, Array], names: tuple[str, ...], here: str
) -> str:
    """What is plainly another output there: another form, numbers that are none."""
    for name in names:
        due, found = wanted[name], got[name]
        if found.ndim == 0 or len(found) != len(due) or Layout.of(found) != Layout.of(due):
            return f"its output {name!r} holds {_form(found)}, {here} {_form(due)}"
        lost = np.isfinite(due) & ~np.isfinite(found)
        if lost.any():
            rows = int(lost.reshape(len(lost), -1).any(axis=1).sum())
            return f"NaN or infinity in its output {name!r} for {rows} of {len(due)} samples, numbers {here}"
    return ""


def _form(array: Array) -> str:
    rows = np.atleast_1d(array)
    return f"{len(rows)} rows of {Layout.of(rows)}"


def _agreement(found: Difference, output: str, samples: int, known: str) -> Agreement:
    return Agreement(
        agrees=not found.beyond,
        output=output,
        samples=samples,
        off=found.off,
        allowed=found.allowed,
        worst=found.worst,
        worst_allowed=found.worst_allowed,
        own=found.own,
        flipped=found.flipped,
        why=_words(found, output, samples) if found.beyond else "",
        known=known,
    )


def _words(found: Difference, output: str, samples: int) -> str:
    """By how much, in words."""
    over_all = found.off > found.allowed
    off, allowed = (found.off, found.allowed) if over_all else (found.worst, found.worst_allowed)
    where = f"over {samples} samples" if over_all else f"in one of {samples} samples"
    said = f"{_percent(off)} off {where} where {_percent(allowed)} is possible"
    if found.flipped:
        low, high = (end(found.flipped, samples, 0.025) for end in (share_at_least, share_at_most))
        said += f"; another largest score for {found.flipped} of them ({_percent(low)} to {_percent(high)})"
    return f"{said} (output {output!r})"


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.0f} %"
