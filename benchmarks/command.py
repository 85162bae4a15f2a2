"""What the commands of all benchmarks have in common: options, errors, and the file of figures."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from paretune.backends.measure.environment import environment
from paretune.backends.registry import packages
from paretune.profiles.errors import ParetuneError, UserError

Options = argparse.Namespace


def bare_parser_of(text: str | None) -> argparse.ArgumentParser:
    """A parser with the module's own text as its help."""
    return argparse.ArgumentParser(
        description=text, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )


def parser_of(text: str | None) -> argparse.ArgumentParser:
    """The same, with --out."""
    parser = bare_parser_of(text)
    parser.add_argument("--out", type=Path, required=True, help="the figures, as JSON")
    return parser


def names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def sizes(text: str) -> list[int]:
    return sorted(map(int, names(text)))


def check_names(what: str, wanted: Iterable[str], accepted: Iterable[str]) -> None:
    known = list(accepted)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UserError(f"no such {what}", found=", ".join(unknown), accepted=", ".join(known))


def finish(work: Callable[[Options], dict[str, Any]], options: Options, show: Callable[[Any], None]) -> int:
    """Do the work, write its figures, with the machine and the date, and show them; the exit status."""

    def written() -> Path:
        _check_out(options.out)
        found = work(options)
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        about = {"date": date, "environment": dict(environment(packages()))}
        write_figures(options.out, {**found, "about": about})
        show(found)
        return options.out

    return ended(written)


def ended(work: Callable[[], Path]) -> int:
    """Do the work, and name what it has written; the exit status."""
    try:
        path = work()
    except ParetuneError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"written: {path}")
    return 0


def _check_out(path: Path) -> None:
    """Before hours of work are lost."""
    if path.is_dir():
        raise UserError("the figures are written to a file", place="--out", found=f"{path}, a folder")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError("the figures cannot be written there", place="--out", found=str(error)) from error


def earlier_figures(path: Path) -> dict[str, Any]:
    """What an earlier run has written; nothing where there was none."""
    try:
        found = json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as error:
        raise UserError(
            "these figures cannot be read, so that nothing can be added to them",
            place=str(path),
            found=str(error),
            remedy="name another file, or remove this one",
        ) from error
    return found if isinstance(found, dict) else {}


def whole(least: int = 1) -> Callable[[str], int]:
    """Reads a number of at least so much from the command line."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}")
        return int(text)

    return read


def write_figures(path: Path, found: Any) -> None:
    """Write them whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".new")
    aside.write_text(json.dumps(found, indent=1) + "\n")
    aside.replace(path)


def tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
