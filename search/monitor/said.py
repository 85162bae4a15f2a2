"""A bundle's monitor.json and the logs of its processes, read as foreign data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from ...profiles.errors import UserError
from ...profiles.files import file_inside, open_regular
from ...profiles.words import escaped, listed
from .log_file import ForeignLogError, read_log
from .recorder import PLAN
from .series import Bins, TensorSeries
from .tally import Tally

_MOST_BYTES = 2**26
_WAIT = "let the deployed model run for a while: the log is written every 30 s, and when its process ends"
_AGAIN = "export the bundle again: `paretune export RUN TRIAL`"


@dataclass(frozen=True, kw_only=True)
class SeriesSaid:
    """One number per sample: where it is cut into bins, and how many of the known samples fell into each."""

    name: str
    tensor: str
    side: str
    edges: list[float]
    counts: list[int]
    mean: float
    sd: float


@dataclass(frozen=True, kw_only=True)
class JudgedSaid:
    """How good the answers to the known samples were: sums as in `Tally.quality` and `Tally.classes`."""

    judge: str
    sums: list[float]
    classes: dict[int, list[float]]


@dataclass(frozen=True, kw_only=True)
class PlanSaid:
    """The plan of a bundle. `digest` names its file, as logs do."""

    format: int
    split: str
    batch: int
    metric: str
    tensors: list[dict[str, Any]]
    series: list[SeriesSaid]
    quality: JudgedSaid | None = None
    digest: str = ""

    @property
    def size(self) -> int:
        """Of the counts of all series."""
        return sum(len(one.counts) for one in self.series)


_PLAN = TypeAdapter(PlanSaid)


@dataclass(frozen=True, kw_only=True)
class ProcessLog:
    """What one process after another wrote into one file: where, and its windows of time, oldest first."""

    path: Path
    about: dict[str, Any]
    windows: tuple[Tally, ...]


def read_plan(folder: Path) -> PlanSaid:
    """What the bundle in a folder records.

    Raises:
        UserError: it records nothing, or the file is damaged.
    """
    try:
        with open_regular(file_inside(folder, PLAN)) as file:
            data = file.read(_MOST_BYTES)
    except FileNotFoundError:
        raise UserError(
            "this bundle records nothing of its use", place=str(folder), found=f"no {PLAN}", remedy=_AGAIN
        ) from None
    except OSError as error:
        raise _damaged(folder, error.strerror or str(error)) from None
    try:
        plan = _PLAN.validate_json(data)
        _check(plan)
    except (ValidationError, ValueError, LookupError, TypeError) as error:
        first = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise _damaged(folder, escaped(first)) from None
    return PlanSaid(**{**vars(plan), "digest": sha256(data).hexdigest()[:16]})


def _check(plan: PlanSaid) -> None:
    names = [name for one in plan.tensors for name in TensorSeries(one).series]
    if names != [one.name for one in plan.series]:
        raise ValueError("its tensors and its series differ")
    for one in plan.series:
        if len(one.counts) != len(one.edges) + 2 or min(one.counts) < 0 or one.edges != sorted(one.edges):
            raise ValueError(f"the series {one.name!r} contradicts itself")
    Bins([vars(one) for one in plan.series])


def _damaged(folder: Path, found: str) -> UserError:
    return UserError(
        "the plan of this bundle's records is damaged", place=str(folder / PLAN), found=found, remedy=_AGAIN
    )


def read_logs(paths: Sequence[Path], plan: PlanSaid) -> tuple[ProcessLog, ...]:
    """All that was recorded of this bundle: at each path, at those of other processes beside it (`LOG.1`),
    and in folders.

    Raises:
        UserError: there is no log, one cannot be read, or none is of this bundle.
    """
    files = list(dict.fromkeys(file for path in paths for file in _files(path)))
    found = [_read(path, plan) for path in files]
    ours = tuple(one for one in found if one.about.get("bundle") == plan.digest)
    if not ours:
        raise _of_another(found, plan, listed([str(path) for path in paths]))
    return ours


def _of_another(found: Sequence[ProcessLog], plan: PlanSaid, place: str) -> UserError:
    theirs = [escaped(str(one.about.get("bundle", ""))) for one in found if one.about]
    if not theirs:
        return UserError("nothing was recorded yet", place=place, remedy=_WAIT)
    return UserError(
        "this log is not of this bundle",
        place=place,
        found=f"recorded by the plan {theirs[0]}, the bundle's is {plan.digest}",
        remedy="give the bundle that is deployed, and the log that its own module writes",
    )


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        inside = [
            one for one in sorted(path.iterdir()) if one.is_file() and re.search(r"\.log(\.\d+)?$", one.name)
        ]
        if not inside:
            raise _no_log(path)
        return inside
    siblings = re.compile(re.escape(path.name) + r"(\.\d+)?")
    found = [one for one in _beside(path) if siblings.fullmatch(one.name)]
    if not found:
        raise _no_log(path)
    return found


def _no_log(path: Path) -> UserError:
    return UserError(
        "there is no log",
        place=str(path),
        accepted="the file that `Monitor.beside(..., log=FILE)` was given, or a folder with such (*.log)",
        remedy=_WAIT,
    )


def _beside(path: Path) -> list[Path]:
    try:
        return sorted(path.parent.iterdir())
    except OSError:
        return []


def _read(path: Path, plan: PlanSaid) -> ProcessLog:
    try:
        about, windows = read_log(str(path))
        ours = about.get("bundle") == plan.digest
        tallies = [Tally.of(window, plan.size, len(plan.series)) for window in windows] if ours else []
    except ForeignLogError as error:
        raise UserError(
            "this is no log of a monitor", place=str(path), found=error.strerror or str(error)
        ) from None
    except (OSError, ValueError, AttributeError) as error:
        said = getattr(error, "strerror", None) or escaped(str(error))
        raise UserError("this log cannot be read", place=str(path), found=said) from None
    return ProcessLog(path=path, about=about, windows=tuple(tallies))


def latest(windows: Sequence[Tally], samples: int) -> list[Tally]:
    """The last windows that have so many samples together; all of them where that is not enough."""
    found: list[Tally] = []
    seen = 0
    for window in sorted(windows, key=lambda one: one.ended, reverse=True):
        found.append(window)
        seen += window.numbers["looked at"]
        if seen >= samples:
            break
    return found[::-1]


def total(windows: Sequence[Tally]) -> Tally:
    """All of them as one."""
    first = windows[0]
    found = Tally(len(first.counts), len(first.sums))
    found.began, found.ended = first.began, first.ended
    for window in windows:
        found.add(window)
    return found
