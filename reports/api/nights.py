"""`nightly` and `store.gc`: what runs unattended, and what tidies up after it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from ...search.retention.gc import KEEP_DAYS, Collected, store_gc
from ..nights.nightly import nightly as one_night
from ..nights.result import NightResult
from ..nights.shown import parts, verdict_line
from ..notebook.checks import night_html
from .progress import Watching, stopped_softly, watched_by

if TYPE_CHECKING:
    from typing_extensions import Unpack


class NightWishes(TypedDict, total=False):
    """What a night may be told, see `paretune.reports.nights.nightly`."""

    against: str
    tolerate: Sequence[str]
    within: str | float
    wait: str | float
    keep: int
    patience: int
    accept: bool


@dataclass(frozen=True, kw_only=True, repr=False)
class NightMade(NightResult):
    """A night that has ended; it shows what changed and what was checked."""

    def __repr__(self) -> str:
        return f"<Night {self.night.number}: {verdict_line(self.night)}>"

    def _repr_html_(self) -> str:
        return night_html(self.lines, parts(self.night))


def nightly(
    study: str | Path,
    *,
    into: str | Path | None = None,
    deployed: str | Path | None = None,
    progress: Watching = None,
    **wishes: Unpack[NightWishes],
) -> NightMade:
    """Run or resume a study within a time, check what is deployed and what was found, and keep the history.

    `wishes`: `against` ("good", "last", a night's number), `tolerate` ("latency 3 %"), `within` ("4 h"),
    `wait`, `keep`, `patience`, `accept`, as the options of `paretune nightly`.

    Raises:
        UserError: there is no such study file, or the folder cannot be written. Everything else ends the
            night, and stands in it.
    """
    places = {"into": into, "deployed": deployed}
    named = {name: None if place is None else Path(place) for name, place in places.items()}
    with watched_by(progress) as told, stopped_softly(told) as stop:
        done = one_night(Path(study), **named, progress=told, stop=stop, **wishes)
    return NightMade(**{item.name: getattr(done, item.name) for item in fields(NightResult)})


class StoreCalls:
    """`paretune.store`: what runs keep of what they made."""

    def gc(
        self,
        place: str | Path,
        *,
        keep_days: float = KEEP_DAYS,
        max_size: int | str | None = None,
        dry_run: bool = False,
        runs: Sequence[str | Path] = (),
        forget: Sequence[str | Path] = (),
        progress: Watching = None,
    ) -> Collected:
        """Remove from a store what no run needs and nobody has asked for lately; `dry_run` tells alone.

        Raises:
            UserError: there is no store, or a run that uses it cannot be read (nothing was removed then).
        """
        with watched_by(progress) as told:
            return store_gc(
                Path(place),
                keep_days=keep_days,
                max_size=max_size,
                dry_run=dry_run,
                runs=[Path(run) for run in runs],
                forget=[Path(run) for run in forget],
                progress=told,
            )

    def show(
        self,
        place: str | Path,
        *,
        runs: Sequence[str | Path] = (),
        forget: Sequence[str | Path] = (),
    ) -> Collected:
        """What lies in a store, who needs it, and what `gc` would free. Nothing is removed.

        Raises:
            UserError: there is no store, or a run that uses it cannot be read.
        """
        return self.gc(place, dry_run=True, runs=runs, forget=forget)


store = StoreCalls()
