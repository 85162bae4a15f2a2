"""`verify`, `recheck`, `regress`, `monitor.check`: what was shipped or found against what was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..notebook.values import ChecksMade
from .progress import Watching, watched_by
from .runs import AnyRun, Run, path_of

Tolerated = str | Sequence[str]
"""What may be worse: "latency 3 %", or several such."""


def verify(
    bundle: str | Path | Run,
    profile: str = "host",
    *,
    data: str | Path | None = None,
    study: str | Path | None = None,
    tolerate: Tolerated = (),
    progress: Watching = None,
) -> ChecksMade:
    """Whether a bundle (of a run: the one of what it recommends) still does on a device what its manifest
    says: files, outputs, quality, latency against the reference that travels along, memory and load time.
    `data` are further samples (a file of arrays by input name, with `targets`), `study` gives a whole split.

    Raises:
        UserError: it cannot be checked: no bundle, no runtime, a device that cannot be reached.
    """
    from ...search.verify.verify import verify as verified

    folder = bundle.shipped if isinstance(bundle, Run) else Path(bundle)
    with watched_by(progress) as told:
        found = verified(
            folder,
            profile,
            data=_path(data),
            study=_path(study),
            tolerate=_texts(tolerate),
            progress=told,
        )
    return ChecksMade.made_of(found)


def recheck(
    run: AnyRun,
    *,
    python: str | Path | None = None,
    profile: str | Path | None = None,
    trials: Sequence[int] = (),
    tolerate: Tolerated = (),
    progress: Watching = None,
) -> ChecksMade:
    """Whether a run's artifacts (of these `trials`, else of the finalists on the front) are the same under
    another Python environment of this machine (its folder, or its Python), or on another device.

    Raises:
        UserError: there is no such run or trial, or the environment or device lacks what a runner needs.
    """
    from ...search.recheck.recheck import recheck as rechecked

    with watched_by(progress) as told:
        found = rechecked(
            path_of(run),
            python=None if python is None else str(python),
            profile=None if profile is None else str(profile),
            trials=trials,
            tolerate=_texts(tolerate),
            progress=told,
        )
    return ChecksMade.made_of(found)


def regress(
    run: AnyRun,
    against: AnyRun,
    tolerate: Tolerated = (),
    *,
    side_by_side: bool = False,
    progress: Watching = None,
) -> ChecksMade:
    """Whether what a run recommends is worse than a baseline: a run, a bundle, or what a night has kept;
    `side_by_side` measures both artifacts here and now.

    Raises:
        UserError: one of the two cannot be read or has nothing to compare, or a tolerance cannot be read.
    """
    from ...search.regress.regress import regress as regressed

    with watched_by(progress) as told:
        found = regressed(
            path_of(run), path_of(against), _texts(tolerate), side_by_side=side_by_side, progress=told
        )
    return ChecksMade.made_of(found)


class MonitorCalls:
    """`paretune.monitor`: what a deployed bundle recorded of its use."""

    def check(
        self,
        bundle: str | Path,
        logs: str | Path | Sequence[str | Path],
        *,
        tolerate: Tolerated = (),
        whole: bool = False,
    ) -> ChecksMade:
        """Calm, warning or alarm: latency, shift of inputs and predictions, quality where labels came. `logs`
        is what was recorded, or folders with it; `whole`: all of it, not the latest samples alone.

        Raises:
            UserError: no bundle or log lies there, they do not belong together, or one is damaged.
        """
        from ...search.monitor.check import monitor_check

        paths = [logs] if isinstance(logs, str | Path) else logs
        found = monitor_check(
            Path(bundle), [Path(log) for log in paths], tolerate=_texts(tolerate), whole=whole
        )
        return ChecksMade.made_of(found)


monitor = MonitorCalls()


def _texts(tolerate: Tolerated) -> tuple[str, ...]:
    return (tolerate,) if isinstance(tolerate, str) else tuple(tolerate)


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
