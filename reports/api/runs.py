"""A run as a value: what it found, and what can be asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...profiles.errors import UserError
from ...search.bundles.files import is_bundle
from ...search.ranking.reading import Reading, read
from ...search.record.evaluation import StudyRecord
from ...search.run.stored import open_run as stored_run
from ..notebook.values import Answer, Front, MarkdownText

if TYPE_CHECKING:
    import pandas as pd

    from ..pages.write import ReportPaths
    from .progress import Watching


@dataclass(frozen=True, kw_only=True, repr=False)
class Run:
    """A study that was run, read once. A notebook shows its answer, its front and the first of its table.

    `path` is what it was opened by (its study file or its directory), `folder` the directory, `reading` its
    record with ranking and verdict. `first` is the study whose models a retargeted one has. `interrupted` and
    `unchanged` tell of the session that was just run: it was stopped; the study had ended before. `own` is
    the study's own reading, where another answer was chosen.
    """

    path: Path
    folder: Path
    reading: Reading
    first: Reading | None = None
    interrupted: bool = False
    unchanged: bool = False
    own: Reading | None = None

    @property
    def name(self) -> str:
        """The study's."""
        return self.reading.record.name

    @property
    def record(self) -> StudyRecord:
        """All that is known: every trial with its numbers, their intervals and where they are from."""
        return self.reading.record

    @cached_property
    def verdict(self) -> Answer:
        """What to ship, how much faster and smaller it is, and how sure that is."""
        return Answer.made_of(self.reading.verdict)

    @property
    def recommended(self) -> int | None:
        """Number of the trial that the verdict names."""
        return self.reading.verdict.recommended

    @property
    def front(self) -> Front:
        """The candidates that no other beats."""
        return Front(self.reading)

    @property
    def table(self) -> pd.DataFrame:
        """One row per trial, every metric with its interval; the columns are those of `trials.csv`."""
        from ..pages.table import trial_table

        return trial_table(self.reading)

    @property
    def bundle(self) -> Path | None:
        """The bundle of what was recommended at the end, where there is one."""
        from ..bundle.recommended import BUNDLE

        folder = self.folder / BUNDLE
        return folder if is_bundle(folder) else None

    @property
    def shipped(self) -> Path:
        """The bundle of what was recommended.

        Raises:
            UserError: there is none.
        """
        if self.bundle is None:
            raise UserError(
                "the run has no bundle",
                place=str(self.folder),
                remedy="`paretune run` writes one at the study's end, `export` one of any trial",
            )
        return self.bundle

    def choose(self, where: str | Sequence[str] = (), prefer: Mapping[str, float] | None = None) -> Run:
        """The same run with another answer: other limits (`"latency <= 2 ms"`), other weights
        (`{"latency": 2}`). Nothing is run; its report and bundle stay as they are.

        Raises:
            UserError: a limit or a weight cannot be read, or is on what this study has not measured.
        """
        from ...search.ranking.ask_again import read_limits_here, read_weights
        from ..terminal.choose import choose

        limits = read_limits_here(self.record, [where] if isinstance(where, str) else where)
        weights = read_weights(self.record, [f"{name}={weight}" for name, weight in (prefer or {}).items()])
        own = self.own or self.reading
        return replace(self, reading=choose(self.record, limits, weights), own=own)

    def explain(self, trial: int | None = None) -> MarkdownText:
        """All that is known of one candidate (left out: the recommended one), as Markdown.

        Raises:
            UserError: the study has no such trial.
        """
        from ..pages.explain import explain

        return MarkdownText(explain(self.reading, self.number_of(trial)))

    def export(
        self,
        trial: int | None = None,
        into: str | Path | None = None,
        *,
        samples: bool = True,
        reference: bool | None = None,
        progress: Watching = None,
    ) -> Path:
        """Write the bundle of one candidate (left out: the recommended one) to a new directory, which is
        returned. An artifact that the store has lost is made again. Without `samples`, no test samples travel
        along; `reference`: whether the artifact does that latency is told against (None: where it is not
        large). What could not be had of them, the manifest says in `left_out`.

        Raises:
            UserError: the trial has no artifact, or the directory cannot be written.
        """
        from ...search.run.samples import with_samples
        from ..bundle.companions import Beside
        from ..bundle.write import export_bundle
        from .progress import watched_by

        number = self.number_of(trial)
        record = self.with_artifact(number, progress=progress).record
        beside = Beside(samples=None, reference=reference)
        if samples:
            with watched_by(progress) as told:
                had = with_samples(self.path, record, number, told)
            record = had.record
            beside = Beside(samples=had.key, without=had.why_not, reference=reference)
        into = Path(into or self.folder / "bundles" / f"trial-{number}")
        return export_bundle(record, number, into, beside)

    def with_artifact(self, trial: int, *, progress: Watching = None) -> Run:
        """The run, whose store has the artifact of a complete trial: one that it lost is made again.

        Raises:
            UserError: it is lost, and the study file is gone or describes something else by now.
        """
        from ...search.run.restore import with_artifact
        from .progress import watched_by

        with watched_by(progress) as told:
            record = with_artifact(self.path, self.record, trial, told)
        return replace(self, reading=replace(self.reading, record=record))

    def report(self) -> ReportPaths:
        """Write the study's own report again, in all of its forms, whatever was chosen here.

        Raises:
            UserError: it cannot be written.
        """
        from ..pages.write import write_report

        return write_report(self.own or self.reading, self.folder / "report", self.first)

    def number_of(self, trial: int | None) -> int:
        """A trial's number; without one, that of the recommended candidate.

        Raises:
            UserError: nothing is recommended.
        """
        number = self.recommended if trial is None else trial
        if number is None:
            raise UserError(
                "no candidate is recommended",
                place=self.name,
                found=self.reading.verdict.headline,
                remedy="name a trial by its number",
            )
        return number

    def __repr__(self) -> str:
        return f"<Run {self.name}: {len(self.record.trials)} trials; {self.reading.verdict.headline}>"

    def _repr_html_(self) -> str:
        from ..notebook.shown import run_html

        return run_html(self.reading)


AnyRun = str | Path | Run
"""A run, its study file, or its directory."""


def path_of(run: AnyRun) -> Path:
    """Its study file or its directory."""
    return run.path if isinstance(run, Run) else Path(run)


def open_run(run: AnyRun) -> Run:
    """A run that was made before, by its study file or its directory.

    Raises:
        UserError: there is no run there, or it has no results yet.
    """
    if isinstance(run, Run):
        return run
    path = Path(run)
    record, folder = stored_run(path)
    return Run(path=path, folder=folder, reading=read(record), first=_first(record, folder))


def _first(record: StudyRecord, folder: Path) -> Reading | None:
    if not record.retargets:
        return None
    from ..results.written import first_reading

    return first_reading(record, folder)
