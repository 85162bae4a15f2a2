"""What became of a push, and what may be said of where it went."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from ...profiles.errors import UserError
from ...profiles.passwords import HIDDEN, without, without_passwords

MLFLOW, FOLDER, HUB, DASHBOARD = "mlflow", "folder", "hf", "dashboard"
TARGETS = (MLFLOW, FOLDER, HUB, DASHBOARD)


@dataclass(frozen=True, kw_only=True)
class Pushed:
    """Trial `trial` is now at `where` (a folder or an address, without passwords). `already`: all of it was
    there, and nothing was changed. `notes` say what else there is to know, a line each."""

    to: str
    where: str
    trial: int
    already: bool = False
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        done = "is there already, unchanged" if self.already else "pushed"
        return "\n".join([f"trial {self.trial} {done}: {self.where}", *self.notes])


def check_target(to: str) -> None:
    """Raises:
    UserError: nothing can be pushed there.
    """
    if to not in TARGETS:
        raise UserError("no such target", place="--to", found=repr(to), accepted=", ".join(TARGETS))


def shown_address(uri: str) -> str:
    """An address without the account that stands in it, be it a name with a password or a token."""
    try:
        parts = urlsplit(uri)
        if "@" in parts.netloc:
            uri = urlunsplit(parts._replace(netloc=f"{HIDDEN}@{parts.netloc.rpartition('@')[2]}"))
        return without_passwords(uri)
    except ValueError:
        return without_passwords(uri)


def without_account(uri: str, text: str) -> str:
    """A text (what a library says) without what stands before the @ of an address."""
    try:
        account = urlsplit(uri).netloc.rpartition("@")[0]
    except ValueError:
        account = ""
    return without_passwords(
        without((account, *account.split(":")[1:]), text.replace(uri, shown_address(uri)))
    )
