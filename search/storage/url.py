"""Where a study is stored, as a value: what the user wrote, a file or a server, what may be shown of it."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote

from sqlalchemy import URL

from ...profiles.errors import UserError
from ...profiles.passwords import HIDDEN, without, without_passwords
from ...profiles.words import escaped
from .server import server_url
from .variables import VARIABLE, check_variables, filled

ACCEPTED = (
    "sqlite:///FILE, postgresql+psycopg2://USER@HOST/DATABASE, mysql+pymysql://USER@HOST/DATABASE, or any "
    "other URL of SQLAlchemy's; ${NAME} takes a part of it, or all of it, from the environment"
)
_SQLITE = "sqlite:///"
_FORM = re.compile(
    # SQLAlchemy's own pattern, as far as a password may stand in it
    r"(?P<scheme>[A-Za-z][\w+]*)://(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?(?P<rest>[^?]*)(?:\?(?P<options>.*))?",
    re.DOTALL,
)
_FILE_FORM = re.compile(r"sqlite(\+pysqlite)?:///", re.IGNORECASE)
_SHOWN_OPTIONS = {
    "application_name", "channel_binding", "charset", "collation", "connect_timeout", "dbname", "driver",
    "gssencmode", "host", "hostaddr", "keepalives", "passfile", "port", "service", "sslcert", "sslkey",
    "sslmode", "sslrootcert", "target_session_attrs", "timeout", "unix_socket", "user",
}  # fmt: skip


@dataclass(frozen=True, repr=False)
class StorageUrl:
    """A storage. `text` is what the user wrote, `base` what the relative path of a SQLite file starts from.

    Variables are filled in when they are needed, and not before: what is kept or shown has their names.
    """

    text: str
    base: Path

    @classmethod
    def of_file(cls, path: Path) -> StorageUrl:
        """A SQLite file, whatever characters its path has."""
        return cls(_SQLITE + quote(os.fsencode(path.absolute())), Path("/"))

    @classmethod
    def written(cls, text: str, base: Path, place: str = "storage") -> StorageUrl:
        """What a user wrote.

        Raises:
            UserError: it is no URL of a database. What only the environment can tell is checked later.
        """
        made = cls(text, base)
        check_variables(text, place)
        if not VARIABLE.search(text):
            made.check(place)
        return made

    def check(self, place: str = "storage") -> None:
        """Raises:
        UserError: it is no URL of a database, or the environment lacks a variable.
        """
        try:
            if self.file is None:
                _ = self.server
        except UserError as error:
            raise UserError(
                error.problem, place=place, found=error.found, accepted=error.accepted, remedy=error.remedy
            ) from None

    def __repr__(self) -> str:
        return f"StorageUrl({self.shown})"

    # -- what it is -------------------------------------------------------------------------------

    @property
    def file(self) -> Path | None:
        """The file of a SQLite storage, None for a server.

        Raises:
            UserError: the text names neither, or the environment lacks a variable.
        """
        text = self._filled
        scheme = _scheme(text, self.shown)
        if scheme.partition("+")[0] != "sqlite":
            return None
        path, _ = _sqlite(text, _without_secrets(self.text, HIDDEN))
        return (self.base / path).absolute()

    @property
    def timeout(self) -> float | None:
        """For how many seconds a SQLite file is waited for that another process writes to, if said."""
        return _sqlite(self._filled, self.shown)[1]

    @property
    def server(self) -> URL:
        """SQLAlchemy's URL of a server, with its password.

        Raises:
            UserError: the text is none, or the environment lacks a variable.
        """
        return server_url(self._filled, self.shown)

    @property
    def _filled(self) -> str:
        return filled(self.text, self.kept)

    # -- what may be told of it -------------------------------------------------------------------

    @cached_property
    def shown(self) -> str:
        """The file, or the URL without its passwords; names of variables in place of what they hold."""
        if _FILE_FORM.match(self.text) and not VARIABLE.search(self.text):
            path, _ = _parts_of_sqlite(self.text)
            return escaped(str(self.base / unquote(path, errors="surrogateescape")))
        return escaped(_without_secrets(self.text, HIDDEN))

    @property
    def kept(self) -> str:
        """The text that is kept with a run: no password that was written out, the path of a file absolute."""
        if VARIABLE.fullmatch(self.text):
            return self.text
        if _FILE_FORM.match(self.text):
            # A file is no secret; its place must not depend on tomorrow's environment.
            path, options = _parts_of_sqlite(filled(self.text, self.shown))
            whole = (self.base / unquote(path, errors="surrogateescape")).absolute()
            return _SQLITE + quote(os.fsencode(whole)) + (f"?{options}" if options else "")
        return _without_secrets(self.text, "")

    @property
    def keeps_all(self) -> bool:
        """Whether what is kept is enough to open the storage: no password stands in the text."""
        return not _secrets_in(self.text) or VARIABLE.fullmatch(self.text) is not None

    @property
    def has_password(self) -> bool:
        """Whether a password is in the URL, or comes into it from the environment."""
        return bool(_secrets_in(self._filled))

    def without_secrets(self, text: str) -> str:
        """A text (what a driver says) without the passwords of this storage, wherever they are from."""
        try:
            whole = self._filled
        except UserError:
            whole = self.text
        secrets = {*_secrets_in(self.text), *_secrets_in(whole)}
        return without_passwords(without(secrets, text))


def _scheme(text: str, shown: str) -> str:
    match = _FORM.fullmatch(text)
    if match is None:
        remedy = f"a file is written {_SQLITE}{shown}" if re.fullmatch(r"[\w./-]+", shown) else ""
        raise UserError("not the URL of a database", found=shown, accepted=ACCEPTED, remedy=remedy)
    return match["scheme"].lower()


def _parts_of_sqlite(text: str) -> tuple[str, str]:
    path, _, options = text.partition("://")[2].removeprefix("/").partition("?")
    return path, options


def _sqlite(text: str, shown: str) -> tuple[str, float | None]:
    """Path and time-out of a SQLite URL."""
    driver = text.partition("://")[0].lower().partition("+")[2]
    accepted = f"{_SQLITE}FILE (an absolute path begins with a fourth slash), ?timeout=SECONDS behind it"
    path, options = _parts_of_sqlite(text)
    file = unquote(path, errors="surrogateescape")
    problem, remedy = "", ""
    if driver not in ("", "pysqlite"):
        problem = f"SQLite by way of {driver} is not supported"
    elif not text.partition("://")[2].startswith("/") and path:
        problem = "a SQLite file is named after three slashes"
    elif file in ("", ":memory:") or file.startswith("file:"):
        problem = (
            "a study is kept in a file: memory is gone when the run ends, and SQLite's URIs are not read"
        )
    elif "\0" in file or file.endswith("/"):
        problem = "this is no name of a file"
    elif options or "?" in text:
        known = _timeout(options)
        if known is not None:
            return file, known
        problem = "these options of a SQLite file are not known"
        remedy = "a question mark in the name of a file is written %3F"
    if problem:
        raise UserError(problem, found=shown, accepted=accepted, remedy=remedy)
    return file, None


def _timeout(options: str) -> float | None:
    """The time-out that options name; None where they name anything else."""
    try:
        pairs = dict(parse_qsl(options, keep_blank_values=True, strict_parsing=True))
        pairs.pop("check_same_thread", None)  # of no meaning here, and common
        seconds = float(pairs.pop("timeout", "5"))
    except ValueError:
        return None
    return seconds if not pairs and 0 <= seconds <= 3600 else None


def _secrets_in(text: str) -> list[str]:
    """The passwords in a URL, as written and as meant; names of variables are none."""
    match = _FORM.fullmatch(text)
    if match is None:
        return [text] if "@" in text or "=" in text else []
    found = [match["password"] or ""]
    found += [match["rest"].rpartition("@")[0]]  # of a password with an @, what SQLAlchemy takes for a host
    found += [
        _port_that_is_none(match["rest"])
    ]  # of `USER:PASSWORD` without a host, what it takes for a port
    found += [value for key, value in _options(match["options"]) if key.lower() not in _SHOWN_OPTIONS]
    literal = [one for one in found if one and not re.fullmatch(rf"(?:{VARIABLE.pattern})+", one)]
    return [form for one in literal for form in (one, unquote(one), unquote(one.replace("+", " ")))]


def _port_that_is_none(rest: str) -> str:
    """What stands in the place of a port without being one; "" where there is nothing like that."""
    match = re.fullmatch(r"(?:\[[^\]]*\]|[^/:]*):([^/]*)(?:/.*)?", rest, re.DOTALL)
    found = match[1] if match else ""
    return "" if re.fullmatch(rf"\d*|{VARIABLE.pattern}", found) else found


def _options(text: str | None) -> list[tuple[str, str]]:
    """Names and values of options, as they are written."""
    parts = [part.partition("=") for part in re.split("[&;]", text or "")]
    return [(unquote(key), value) for key, _, value in parts]


def _without_secrets(text: str, hidden: str) -> str:
    """The URL with its literal passwords hidden, or left out."""
    match = _FORM.fullmatch(text)
    if match is None:
        return text if not _secrets_in(text) else HIDDEN
    literal = set(_secrets_in(text))
    user, password, rest = match["user"], match["password"], match["rest"]
    if rest.rpartition("@")[0] in literal:
        password, rest = hidden and HIDDEN, rest.rpartition("@")[2]
    elif password in literal:
        password = hidden
    rest = rest.replace(f":{_port_that_is_none(rest)}", f":{hidden}") if _port_that_is_none(rest) else rest
    account = "" if user is None else user + (f":{password}" if password else "") + "@"
    kept = [
        f"{key}={hidden if value in literal else value}" if value else key
        for key, value in _options(match["options"])
        if hidden or value not in literal
    ]
    options = "?" + "&".join(kept) if match["options"] and kept else ""
    return f"{match['scheme']}://{account}{rest}{options}"
