"""`run` and `retarget`: a session to its end, with its report and its bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...profiles.guard.user_code import user_code
from ...search.driver.budget import StopFlag
from ...search.record.progress import Progress
from ..terminal.session_words import retarget_command
from .progress import Watching, stopped_softly, watched_by
from .runs import AnyRun, Run, path_of

if TYPE_CHECKING:
    from ...search.run.absent import Absent
    from ...search.run.session import SessionEnd


def run(
    study: str | Path,
    *,
    audit: float = 0.0,
    again: bool = False,
    estimate: bool = False,
    measurements: str | Path | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: Watching = None,
) -> Run:
    """Run or resume the study of a file to its end, write its report and bundle, and give the run.

    `audit` is the share of what the gate stopped that is trained after all. A study that has ended is not
    measured again, unless `again` has its finalists measured once more. `estimate`, `measurements`: its
    device is not there. `workers` processes evaluate candidates at once, or those of a Dask `cluster` by its
    address. Ctrl-C finishes the stage at hand and keeps everything; the run is
    then `interrupted`.

    Raises:
        UserError: the file or something that it names cannot be accepted, or the device went away.
    """
    path = Path(study)

    def session(told: Progress, stop: StopFlag) -> SessionEnd:
        from ...search.cluster.run import run_study_with_workers
        from ...search.cluster.wanted import wanted_workers

        absent, asked = _absent(estimate, measurements), wanted_workers(workers, cluster)
        return run_study_with_workers(path, asked, told, stop, audit, again=again, absent=absent)

    return _session(session, f"paretune run {path}", progress, path)


def retarget(
    study: AnyRun,
    profile: str,
    where: str | Sequence[str] = (),
    *,
    again: bool = False,
    estimate: bool = False,
    measurements: str | Path | None = None,
    progress: Watching = None,
) -> Run:
    """Search another device with what a study has trained, and give that run; nothing is trained.

    `where` are limits in place of the study file's. The others are those of `run`.

    Raises:
        UserError: the study was not run, describes something else by now, or the profile is its own.
    """
    path = path_of(study)
    limits = [where] if isinstance(where, str) else list(where)

    def session(told: Progress, stop: StopFlag) -> SessionEnd:
        from ...search.run.retarget import retarget_study

        absent = _absent(estimate, measurements)
        return retarget_study(path, profile, limits, told, stop, again=again, absent=absent)

    return _session(session, retarget_command(path, profile, limits), progress)


def _absent(estimate: bool, measurements: str | Path | None) -> Absent | None:
    from ...search.run.absent import absent_device

    return absent_device(estimate, None if measurements is None else Path(measurements))


def _session(
    session: Callable[[Progress, StopFlag], SessionEnd],
    command: str,
    progress: Watching,
    path: Path | None = None,
) -> Run:
    with (
        user_code("the workload's code", around=True),
        watched_by(progress) as told,
        stopped_softly(told) as stop,
    ):
        end = session(told, stop)
        from ..results.written import written

        done = written(end, command)
    if end.gone:
        raise end.gone
    return Run(
        path=path or end.places.run_dir,
        folder=end.places.run_dir,
        reading=done.reading,
        first=done.first,
        interrupted=end.interrupted,
        unchanged=end.unchanged,
    )
