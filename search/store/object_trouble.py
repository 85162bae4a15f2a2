"""What keeps an object store from being asked: one message that names the cause and what to do."""

from __future__ import annotations

import errno
from collections.abc import Mapping
from typing import Any

from ...profiles.errors import UserError
from ...profiles.files import says_full
from ...profiles.passwords import without_passwords
from ...profiles.words import one_line
from .url import ACCEPTED, CREDENTIALS

_EXTRAS = {"s3": "s3", "s3a": "s3"}
_PACKAGES = {"gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "abfss": "adlfs", "az": "adlfs"}
_TAKEN = ("PreconditionFailed", "412")
_BUSY = (408, 409, 425, 429, 500, 502, 503, 504)
_NO_ROOM = 507
_ABSENT = 404
_EXPIRED = ("ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired")
_SKEWED = "RequestTimeTooSkewed"
_NO_ANSWER = {"ConnectionError", "HTTPClientError", "FSTimeoutError", "ResponseParserError", "ClientError"}
"""Names of what the libraries below fsspec raise where a line fails: none of them is imported for that."""
_BUSY_NUMBERS = (errno.EBUSY, getattr(errno, "EREMOTEIO", errno.EIO))
_UNSIGNED = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "ProfileNotFound"}


def is_taken(error: Exception) -> bool:
    """Whether an object was not created, since there is one."""
    return isinstance(error, FileExistsError) or _code(error) in _TAKEN


def without_bucket(error: Exception) -> bool:
    """Whether not only the object is missing, but what it would be in."""
    return _code(error) == "NoSuchBucket"


def passes(error: Exception) -> bool:
    """Whether another try may well succeed. What is absent though it was to be put, others put or removed
    in that moment."""
    if says_full(error) or isinstance(error, PermissionError):
        return False
    if status := _status(error):
        return status in _BUSY or (status == _ABSENT and not without_bucket(error))
    names = {base.__name__ for base in type(error).__mro__}
    if names & _UNSIGNED:
        return False
    busy = isinstance(error, OSError) and error.errno in _BUSY_NUMBERS
    return busy or isinstance(error, ConnectionError | TimeoutError) or bool(names & _NO_ANSWER)


def refused(url: str, error: Exception) -> Exception:
    """The error as one of ours; one of this machine's own files as it is."""
    if isinstance(error, UserError) or (isinstance(error, OSError) and (says_full(error) or error.filename)):
        return error
    problem, remedy = _told(error)
    found = one_line(without_passwords(str(error)), 300)  # before it is cut
    return UserError(problem, place=url, found=f"{type(error).__name__}: {found}", remedy=remedy)


def _told(error: Exception) -> tuple[str, str]:
    """What the matter is, and what to do."""
    again = "run again: what was finished is kept"
    if without_bucket(error):
        return "the object store has no such bucket", "make it, or correct `store` in the study file"
    if _code(error) in _EXPIRED:
        return "the object store's credentials have expired", f"get new ones, and {again}. {CREDENTIALS}"
    if _code(error) == _SKEWED:
        return "the clock of this machine is too wrong for the object store", f"set it, and {again}"
    if {base.__name__ for base in type(error).__mro__} & _UNSIGNED or _status(error) == 401:
        return "no credentials for the object store were found, or wrong ones", f"give some: {CREDENTIALS}"
    if isinstance(error, PermissionError) or _status(error) == 403:
        remedy = f"see that it may list, read, write and delete there. Credentials: {CREDENTIALS}"
        return "the object store refuses this user", remedy
    if _status(error) == _NO_ROOM:
        return "no space left in the object store", f"free some, and {again}"
    if passes(error):
        service = "AWS_ENDPOINT_URL names a service that is not Amazon's"
        return (
            "the object store does not answer",
            f"see that this machine reaches it ({service}), and {again}",
        )
    return "the object store cannot be asked", again


def no_filesystem(url: str, error: Exception) -> UserError:
    """What is missing that reaches this kind of store, and the command that installs it."""
    scheme = url.partition(":")[0]
    if not isinstance(error, ImportError):
        return UserError("no kind of store has such a URL", found=url, accepted=ACCEPTED)
    extra, package = _EXTRAS.get(scheme), _PACKAGES.get(scheme, "")
    remedy = f"pip install 'paretune[{extra}]'" if extra else f"pip install {package}".strip()
    return UserError(
        f"what reaches a store of the kind {scheme}:// is not installed, or does not load here",
        found=one_line(without_passwords(str(error)), 300),
        remedy=remedy if extra or package else "install what the message names",
    )


def _code(error: BaseException) -> str:
    return str(_answer(error).get("Error", {}).get("Code", ""))


def _status(error: BaseException) -> int:
    """HTTP's number of the answer; 0 where none came."""
    answer = _answer(error).get("ResponseMetadata", {})
    return int(answer.get("HTTPStatusCode", getattr(error, "status", 0)) or 0)


def _answer(error: BaseException) -> Mapping[str, Any]:
    """What the service said, as boto3's libraries keep it with their error or its cause."""
    for one in (error, error.__cause__):
        found = getattr(one, "response", None)
        if isinstance(found, Mapping):
            return found
    return {}
