"""Passwords in texts that somebody is shown: whatever looks like one is hidden."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

HIDDEN = "***"

_HIDES = r"[\w.-]*(?:pass(?!file|ive)|passwd|pwd|secret|token|odbc_connect)[\w.-]*"
_KEYS = r"(?:account|shared(?:access)?)key|sharedaccesssignature"
_VARIABLE = r"(?!\$\{\w+\})"  # `${NAME}` in the place of a password is none
_IN_URLS = re.compile(r"(\b[A-Za-z][\w+.-]*://[^:/@\s]*):(?!\$\{\w+\}@)\S*@")
_AS_OPTIONS = re.compile(rf"([?&;](?:{_HIDES}|sig|[\w.-]*signature)=){_VARIABLE}[^&\s\"'#]+", re.IGNORECASE)
_AS_SETTINGS = re.compile(
    rf"(\b(?:(?:ssl)?(?:password|passwd|pwd)|{_KEYS})\s*=\s*){_VARIABLE}" + r"('[^']*'|[^\s'\"&;]+)",
    re.IGNORECASE,
)
_SHORT = 4


def without_passwords(text: str) -> str:
    """The text; a password in a URL, in a URL's options or in a connection string is hidden, and so are
    the key of an account and a signature that lets in whoever has it."""
    text = _IN_URLS.sub(rf"\1:{HIDDEN}@", text)
    return _AS_SETTINGS.sub(rf"\1{HIDDEN}", _AS_OPTIONS.sub(rf"\1{HIDDEN}", text))


def without(secrets: Iterable[str], text: str) -> str:
    """The text without these secrets, in any of the forms in which messages quote a text."""
    forms = {form for secret in secrets if secret for form in _forms(secret)}
    for form in sorted(forms, key=lambda form: (-len(form), form)):
        pattern = re.escape(form)
        # Of a very short one every letter of a sentence would be a match.
        text = re.sub(pattern if len(form) >= _SHORT else rf"(?<!\w){pattern}(?!\w)", HIDDEN, text)
    return text


def _forms(secret: str) -> tuple[str, ...]:
    plain = secret.encode("utf-8", "surrogateescape")
    written = (repr(secret)[1:-1], json.dumps(secret)[1:-1])
    return (secret, quote(plain, safe=""), quote(plain, safe=" +"), quote_plus(plain), *written)
