"""What of old nights goes: pages, bundles and runs first, their records last. Killed in its middle, the next
night ends it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from .history import NIGHT_FILE, RUNS, NightHistory, NightsFolder

MOST_RECORDS = 1000
"""So many nights are remembered at all."""


def thin(folder: NightsFolder, history: NightHistory, keep: int) -> int:
    """Keep the last `keep` nights whole, and the last good one; of older ones the record alone. Runs that no
    whole night is of go. Returns the bytes that were freed."""
    numbers = folder.numbers()
    whole = staying(numbers, history, keep)
    freed = 0
    for number in numbers:
        if number in whole:
            continue
        old = folder.folder(number)
        gone = number in numbers[:-MOST_RECORDS]
        freed += sum(_removed(path) for path in ([old] if gone else _beside_the_record(old)))
    runs = {night.run for night in history.nights if night.number in whole and night.run}
    return freed + sum(_removed(run) for run in _but_the_latest(runs_of(folder)) if run.name not in runs)


def staying(numbers: Sequence[int], history: NightHistory, keep: int) -> frozenset[int]:
    """Of the numbers of nights, those that stay whole."""
    good = history.last_good
    return frozenset(numbers[-keep:]) | ({good.number} if good is not None else set())


def _but_the_latest(runs: Sequence[Path]) -> list[Path]:
    """A night that was killed does not tell its run, which the next one may resume."""
    return sorted(runs, key=_touched)[:-1]


def _touched(run: Path) -> float:
    with suppress(OSError):
        return max(path.stat().st_mtime for path in (run, *run.iterdir()))
    return 0.0


def _beside_the_record(folder: Path) -> list[Path]:
    with suppress(OSError):
        return [path for path in folder.iterdir() if path.name != NIGHT_FILE]
    return []


def runs_of(folder: NightsFolder) -> list[Path]:
    """The runs that nights have made."""
    with suppress(OSError):
        return [p for p in (folder.path / RUNS).iterdir() if p.is_dir() and not p.is_symlink()]
    return []


def _removed(path: Path) -> int:
    """Remove a file or a folder; the bytes that it had."""
    size = sum(_sizes(path))
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    return size


def _sizes(path: Path) -> Iterator[int]:
    with suppress(OSError):
        for one in (path, *path.rglob("*")):
            if one.is_file() and not one.is_symlink():
                yield one.stat().st_size
