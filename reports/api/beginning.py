"""`init`, `plan`, `runtimes` and `devices`: what comes before a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from ...profiles.guard.user_code import user_code
from ...search.record.progress import Progress
from ...search.run.planned import Planned, planned
from ..terminal.plan import plan_text
from .progress import Watching, watched_by

if TYPE_CHECKING:
    import pandas as pd

    from ...backends.boards.fitness import Fitness
    from ...profiles.devices.schema import Profile

_WIDTH = 110


@dataclass(frozen=True, kw_only=True)
class StudyPlan(Planned):
    """What a study would do; it shows itself as `paretune plan` does."""

    def __str__(self) -> str:
        return self._shown(html=False)

    def _repr_html_(self) -> str:
        return self._shown(html=True)

    def _shown(self, *, html: bool) -> str:
        from rich.console import Console

        paper = Console(
            file=StringIO(), record=True, width=_WIDTH, force_jupyter=False, markup=False, emoji=False
        )
        paper.print(plan_text(self.job, f"{self.task} ({self.because})"))
        if not html:
            return paper.export_text()
        return paper.export_html(inline_styles=True, code_format="<pre style='line-height:1.3'>{code}</pre>")


def init(workload: str = "workload.py", into: str | Path = "study.yaml") -> Path:
    """Write a commented study file for this machine, and give its path.

    Raises:
        UserError: the file exists, or its directory does not.
    """
    from ..terminal.start import write_study_file

    write_study_file(Path(into), workload)
    return Path(into)


def plan(study: str | Path, profile: str | None = None) -> StudyPlan:
    """What a study would run: the space after masking and why. Nothing is trained or measured.

    Raises:
        UserError: anything in the file, the workload or its data cannot be accepted.
    """
    with user_code("the workload's code", around=True):
        found = planned(Path(study), profile)
    return StudyPlan(job=found.job, task=found.task, because=found.because)


def runtimes(profile: str = "host") -> pd.DataFrame:
    """What `paretune backends` shows: a row for each runtime with its state here, what it offers on the
    device and what not, and the command that installs it. (`paretune.backends` is a package.)

    Raises:
        UserError: no such profile.
    """
    import pandas as pd

    from ..terminal.backends import runtime_rows

    _, rows = runtime_rows(profile)
    return pd.DataFrame([asdict(row) for row in rows])


class DeviceCalls:
    """`paretune.devices`: called, it lists the profiles; its methods act on one."""

    def __call__(self) -> pd.DataFrame:
        """A row for each profile that ships, and for this machine."""
        import pandas as pd

        from ...profiles.devices.loader import shipped_profiles

        profiles = ((name, self.show(name)) for name in ("host", *shipped_profiles()))
        rows = [{"name": name, "title": one.title, "reached_by": one.reach.kind} for name, one in profiles]
        return pd.DataFrame(rows)

    def show(self, name: str) -> Profile:
        """A profile by its name, or the path of its file.

        Raises:
            UserError: there is no such profile.
        """
        from ...backends.registry import probes
        from ...profiles.devices.loader import load_profile

        return load_profile(name, probes=probes())

    def check(self, name: str, device: str = "") -> Fitness:
        """Whether a device is fit to measure on, and why; of a profile that names several, the one `device`.

        Raises:
            UserError: no such profile, or the device cannot be reached.
            StageError: it went away meanwhile.
        """
        from ...backends.boards.check import check

        return check(self.show(name), name, lambda _: None, device=device)

    def setup(
        self,
        name: str,
        *,
        backends: Sequence[str] = (),
        wheels: str | Path | None = None,
        reach: str | None = None,
        python: str = "",
        again: bool = False,
        progress: Watching = None,
    ) -> str:
        """Make a board ready that has Python and sshd alone; what was done, in words.

        Raises:
            UserError: it cannot be reached, or what it needs is not to be had.
        """
        from ...backends.boards.setup import Wish, set_up

        wish = Wish(
            backends=tuple(backends),
            wheels=None if wheels is None else Path(wheels),
            reach=reach,
            python=python,
            again=again,
        )
        with watched_by(progress) as told:
            return set_up(name, wish, _StepsTold(told))


@dataclass(frozen=True)
class _StepsTold:
    """The steps of `setup`, told as those of a study are."""

    told: Progress

    def stage(self, text: str) -> None:
        self.told.stage(text)

    def note(self, text: str) -> None:
        self.told.note(text)

    def detail(self, text: str) -> None:
        """Seen on a terminal alone."""


devices = DeviceCalls()
