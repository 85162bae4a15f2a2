"""`choose`, `explain`, `export`, `report`: what is asked of a run by its study file or its directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, overload

from ..notebook.values import MarkdownText
from ..pages.write import ReportPaths
from .progress import Watching
from .runs import AnyRun, Run, open_run, path_of

if TYPE_CHECKING:
    from .fleet import FleetChoice


@overload
def choose(
    run: AnyRun,
    where: str | Sequence[str] = (),
    prefer: Mapping[str, float] | None = None,
    *,
    devices: None = None,
) -> Run: ...
@overload
def choose(
    run: AnyRun,
    where: str | Sequence[str] = (),
    prefer: Mapping[str, float] | None = None,
    *,
    devices: str,
) -> FleetChoice: ...
def choose(
    run: AnyRun,
    where: str | Sequence[str] = (),
    prefer: Mapping[str, float] | None = None,
    *,
    devices: str | None = None,
) -> Run | FleetChoice:
    """Another answer from a finished study at no cost, see `Run.choose`; with `devices` ("pi,host" or "all")
    one answer for all of them.

    Raises:
        UserError: a limit, a weight or a device cannot be read, or is none of this study's.
    """
    if devices is None:
        return open_run(run).choose(where, prefer)
    from .fleet import choose_for

    limits = [where] if isinstance(where, str) else where
    weights = [f"{name}={weight}" for name, weight in (prefer or {}).items()]
    return choose_for(path_of(run), devices, limits, weights)


def explain(run: AnyRun, trial: int | None = None) -> MarkdownText:
    """All that is known of one candidate, see `Run.explain`."""
    return open_run(run).explain(trial)


def export(
    run: AnyRun,
    trial: int | None = None,
    into: str | Path | None = None,
    *,
    samples: bool = True,
    reference: bool | None = None,
    progress: Watching = None,
) -> Path:
    """Write the bundle of one candidate, see `Run.export`."""
    return open_run(run).export(trial, into, samples=samples, reference=reference, progress=progress)


def left_out(bundle: Path) -> dict[str, str]:
    """What a bundle goes without, and why.

    Raises:
        UserError: its manifest cannot be read.
    """
    from ...search.bundles.bundle import read_bundle

    return read_bundle(bundle).left_out


def report(run: AnyRun) -> ReportPaths:
    """Write the report of a run again, see `Run.report`."""
    return open_run(run).report()
