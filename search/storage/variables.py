"""`${NAME}` in the URL of a storage: filled in from the environment when it is used, and not before."""

from __future__ import annotations

import os
import re
from urllib.parse import quote

from ...profiles.errors import UserError

VARIABLE = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}")


def check_variables(text: str, place: str) -> None:
    """Raises:
    UserError: something begins like a variable and is none.
    """
    if "${" in VARIABLE.sub("", text):
        raise UserError(
            "this is no name of a variable",
            place=place,
            accepted="${NAME}: letters, digits and _; a ${ that is meant as it is, is written %24%7B",
        )


def filled(text: str, shown: str) -> str:
    """The text with its variables: one that is all of the text is a URL, any other is a part of one, in which
    no character has a meaning.

    Raises:
        UserError: the environment lacks one.
    """
    check_variables(text, "storage")
    if VARIABLE.fullmatch(text):
        return _value(text[2:-1], shown)
    return VARIABLE.sub(lambda found: quote(os.fsencode(_value(found[0][2:-1], shown)), safe=""), text)


def _value(name: str, shown: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise UserError(
            f"the environment has no {name}",
            place="storage",
            found=shown,
            remedy=f"export {name}=... in the shell that runs this",
        ) from None
