"""The runs that use a store: remembered there, lying beside its studies, or named."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ...profiles.errors import UserError
from ...profiles.files import file_inside, is_file, open_regular
from ...profiles.locks import is_held
from ..bundles.files import MANIFEST
from ..job.places import places_of
from ..job.study_file import load_study_file
from ..run.stored import stored_study
from ..storage.read_only import study_for_reading
from ..storage.run_file import RUN_FILE, read_run_file
from ..store.users import AtWork, known_runs
from .needed import Needs, needs_of

_BUNDLES = ("bundle", "bundles/*", "to-measure/trial-*")
_LARGEST = 2**26
_OF_A_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")


@dataclass(frozen=True, kw_only=True)
class UsingRun:
    """A run that uses the store. `at_work`: a process runs it now; `ended`: its study came to its end."""

    name: str
    run_dir: Path
    needs: Needs
    ended: bool
    at_work: bool


@dataclass(frozen=True, kw_only=True)
class RunsFound:
    """The directories of runs that use a store, and of those that were remembered and removed since."""

    there: tuple[Path, ...]
    gone: tuple[Path, ...]


def place_of(path: Path) -> tuple[Path, Path | None]:
    """The store that a path names, and the directory of the run, if it names one: it is a study file, a run's
    directory, or the store's.

    Raises:
        UserError: it is none of these, or there is no store.
    """
    if is_file(path):
        places = places_of(load_study_file(path), path)
        store, run_dir = places.store, places.run_dir
    elif (path / RUN_FILE).is_file():
        run_dir = path.resolve()
        store = next(iter(_stores_of(run_dir)))
    else:
        return _store(path), None
    return _store(store), run_dir


def _store(path: Path) -> Path:
    """Whatever is removed is removed from a folder that is certainly a store."""
    if _OF_A_URL.match(str(path)) and not path.exists():
        raise UserError(
            "an object store is not gone through: machines that are not seen from here may need what it has",
            place=str(path),
            accepted="a study file, the directory of a run (runs/NAME), or a store's",
            remedy="name the study file in its place: what this machine has fetched is tidied up. What the "
            "object store itself keeps, and for how long, is said by the provider's lifecycle rules",
        )
    if not path.is_dir():
        raise UserError(
            "there is no store",
            place=str(path),
            accepted="a study file, the directory of a run (runs/NAME), or a store",
        )
    if not (path / ".locks").is_dir():
        raise UserError(
            "this is no store",
            place=str(path),
            found="a folder without .locks",
            accepted="a study file, the directory of a run (runs/NAME), or a store",
        )
    return Path(os.path.realpath(path))


def find_runs(
    root: Path, run_dir: Path | None, named: Sequence[Path], forgotten: Sequence[Path]
) -> RunsFound:
    """The runs that use the store at `root`. `named` are such runs (directories or study files), and
    `forgotten` is what is left out.

    Raises:
        UserError: of one it cannot be told, a named one is none, or there is none at all.
    """
    without = {_directory(path) for path in forgotten}
    try:
        remembered = known_runs(root)
    except OSError as error:
        raise _refused("the store's list of its runs cannot be read", root, str(error), "mend it") from error
    first = [*([run_dir] if run_dir else []), *(_named(path) for path in named)]
    asked = [path for path in (*first, *remembered) if path not in without]
    gone = [path for path in asked if _is_gone(path)]
    there = dict.fromkeys(path for path in asked if path not in gone)
    beside = (path for one in tuple(asked) for path in _beside(one))
    there |= dict.fromkeys(path for path in beside if path not in without and _uses(path, root))
    found = tuple(path for path in there if (path / RUN_FILE).is_file())
    if not found and not gone:
        raise _refused(
            "no run that uses this store is known, so that nobody can say what is needed",
            root,
            "neither the store remembers one, nor is one named",
            "name the study file in place of the store, or its runs with --run",
        )
    return RunsFound(there=found, gone=tuple(gone))


def _named(path: Path) -> Path:
    """The directory of a run that somebody has named, which has to be there."""
    run_dir = _directory(path)
    read_run_file(run_dir)
    return run_dir


def _directory(path: Path) -> Path:
    """The run's directory of a study file, or of a directory."""
    return places_of(load_study_file(path), path).run_dir if path.is_file() else Path(os.path.realpath(path))


def _is_gone(run_dir: Path) -> bool:
    """Whether a run was removed. Where even the folder is gone that it lay in, its disk may be away.

    Raises:
        UserError: nobody can tell.
    """
    if run_dir.is_dir():
        return False
    if run_dir.parent.is_dir():
        return True
    raise _refused(
        "a run that uses this store cannot be found, and neither can the folder that it lay in",
        run_dir,
        "a disk that is not there, or a project that was moved or removed",
        f"bring it back; or, if it is gone for good, `--forget {run_dir}`",
    )


def _beside(run_dir: Path) -> Iterator[Path]:
    with suppress(OSError):
        yield from sorted(file.parent for file in run_dir.parent.glob(f"*/{RUN_FILE}"))


def _uses(run_dir: Path, root: Path) -> bool:
    return root in {Path(os.path.realpath(store)) for store in _stores_of(run_dir)}


def _stores_of(run_dir: Path) -> list[Path]:
    """The store that its study file names now, and the one that it was run with.

    Raises:
        UserError: the run's own file cannot be read.
    """
    with _explained(run_dir):
        run = read_run_file(run_dir)
    stores = [run.store]
    with suppress(UserError):
        stores.insert(0, places_of(load_study_file(run.study_file), run.study_file).store)
    return stores


@contextmanager
def _explained(run_dir: Path) -> Iterator[None]:
    """Whatever keeps a run from being read keeps the store as it is."""
    try:
        yield
    except (UserError, OSError) as error:
        raise _refused(
            "a run cannot be read, so that nobody can say what it needs: nothing was removed",
            run_dir,
            _told(error),
            f"mend it, or leave it out for good with `--forget {run_dir}`",
        ) from error


def _told(error: UserError | OSError) -> str:
    if isinstance(error, OSError):
        return str(error)
    return "; ".join(
        filter(None, (f"{error.place}: {error.problem}" if error.place else error.problem, error.found))
    )


def _refused(problem: str, place: Path, found: str, remedy: str) -> UserError:
    return UserError(problem, place=str(place), found=found, remedy=remedy)


def using_run(run_dir: Path, at_work: Iterable[AtWork]) -> UsingRun:
    """A run with what it needs of its store.

    Raises:
        UserError: its study cannot be read.
    """
    lock = run_dir / ".lock"
    with _explained(run_dir):
        busy = any(session.run_dir == run_dir for session in at_work) or (
            lock.is_file() and is_held(lock) is True
        )
        url, name = stored_study(run_dir)
        with study_for_reading(url, name) as studies:
            if not studies.readable and not studies.records():  # not yet, or not any more
                found = Needs(keys=frozenset(_bundled(run_dir).values()))
                return UsingRun(name=name, run_dir=run_dir, needs=found, ended=False, at_work=busy)
            record = studies.unweighed()
        ended = bool(record.ended) and not busy
        needs = needs_of(record, _bundled(run_dir), whole=not ended)
    return UsingRun(name=name, run_dir=run_dir, needs=needs, ended=ended, at_work=busy)


def _bundled(run_dir: Path) -> Mapping[int, str]:
    """The artifacts of the bundles in a run's directory, by their trials."""
    found = {}
    for folder in (path for pattern in _BUNDLES for path in sorted(run_dir.glob(pattern))):
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):  # else it is no bundle
            with open_regular(file_inside(folder, MANIFEST)) as file:
                plain = json.loads(file.read(_LARGEST))
            found[int(plain["trial"])] = str(plain["artifact_key"])
    return found
