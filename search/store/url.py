"""A store named by a URL: an object store that machines share, with a directory of each as its cache."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from ...profiles.cache import cache_folder
from ...profiles.errors import UserError

ACCEPTED = "a directory, or s3://BUCKET/PREFIX (also gs://, abfs:// and what else fsspec knows)"
CREDENTIALS = "they come from the environment (AWS_ACCESS_KEY_ID, AWS_PROFILE) or the provider's own files"
_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_HIDDEN = "***"


def is_url(text: str) -> bool:
    """Whether a text names a store by a URL, and not by a directory."""
    return _URL.fullmatch(text) is not None


def store_url(text: str) -> str:
    """The URL as it is kept: without slashes at its end.

    Raises:
        UserError: it names no place, or has a secret or options in it. They are not shown.
    """
    match = _URL.fullmatch(text)
    assert match is not None
    scheme, rest = match["scheme"].lower(), match["rest"].rstrip("/")
    if _has_account(scheme, rest.partition("/")[0]):
        raise UserError(
            "the URL of a store must have no account or secret in it, as it is kept with every run",
            found=f"{scheme}://{_HIDDEN}",
            accepted=ACCEPTED,
            remedy=f"leave credentials out: {CREDENTIALS}",
        )
    if "?" in rest:
        raise UserError(
            "the URL of a store takes no options",
            found=f"{scheme}://{rest.partition('?')[0]}?{_HIDDEN}",
            accepted=ACCEPTED,
            remedy="set them by AWS_ENDPOINT_URL, AWS_DEFAULT_REGION and the like, or in its own files",
        )
    if not rest.strip("/"):
        raise UserError("the URL of a store names no bucket", found=text, accepted=ACCEPTED)
    return f"{scheme}://{rest}"


def _has_account(scheme: str, place: str) -> bool:
    """Whether what stands before the first slash is, or begins, more than a bucket or a host."""
    if place.startswith("arn:"):  # of an access point
        return False
    account, at, host = place.rpartition("@")
    if scheme in ("s3", "s3a", "gs", "gcs"):  # abfs://CONTAINER@ACCOUNT is meant so
        return bool(at) or ":" in host
    return ":" in account or not re.fullmatch(r"(\[[^\]]*\]|[^:]*)(:\d*)?", host)


def cache_of(url: str) -> Path:
    """The directory of this machine that is the cache of the object store at `url`: in the user's cache
    folder, the same for all studies and processes of the user.

    Raises:
        UserError: the user has no such folder.
    """
    folder = cache_folder()
    if folder is None:
        raise UserError(
            "there is no place for what is fetched from the object store: this user has no home directory",
            found=url,
            remedy="name a directory by XDG_CACHE_HOME",
        )
    readable = re.sub(r"[^A-Za-z0-9]+", "-", url)[:60].strip("-")
    return folder / "stores" / f"{readable}-{hashlib.sha256(url.encode()).hexdigest()[:16]}"
