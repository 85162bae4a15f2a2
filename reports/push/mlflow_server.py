"""The server of MLflow: whether one is there that can be used, and its refusals in words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...profiles.errors import UserError
from ...profiles.words import one_line
from .libraries import library
from .pushed import shown_address, without_account

URI = "MLFLOW_TRACKING_URI"
OLDEST = (2, 0)
_PATIENCE_S = 15
_REFUSED = (401, 403)
_SCHEMES = re.compile(
    r"https?://[^/]|databricks(?:$|://)|(?:sqlite|postgresql|mysql|mssql)(?:\+\w+)?://", re.IGNORECASE
)
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})\.[\w.+-]{1,40}")
_LOGIN = (
    "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, to an account that "
    "may write there"
)


def check_server(address: str) -> None:
    """Ask a server for its version before anything is sent. What is no address of one is left to MLflow.

    Raises:
        UserError: nobody answers, an account is refused, or it is older than what is needed.
    """
    if not _SCHEMES.match(address):
        raise UserError(
            "not the address of an MLflow server",
            place="--uri",
            found=shown_address(address),
            accepted="http://HOST:PORT, https://HOST, databricks, or a server's database (sqlite:///FILE, "
            "which needs all of mlflow here)",
        )
    if not address.lower().startswith(("http://", "https://")):
        return
    requests = library("requests", "pip install 'paretune[mlflow]'", "MLflow")
    try:
        answer = requests.get(f"{address.rstrip('/')}/version", timeout=_PATIENCE_S, **_account())
    except (requests.RequestException, ValueError) as error:
        raise _silent(address, error) from None
    if answer.status_code in _REFUSED:
        raise refused(address, answer.status_code)
    found = _VERSION.fullmatch(answer.text.strip()) if answer.ok else None
    if found is not None and (int(found[1]), int(found[2])) < OLDEST:
        raise UserError(
            "the MLflow server is too old",
            place=shown_address(address),
            found=found[0],
            accepted=f"{OLDEST[0]}.{OLDEST[1]} or later",
            remedy="upgrade it (`mlflow db upgrade` moves its database), or push to a folder: --to folder",
        )


def _account() -> dict[str, Any]:
    """What the client itself would send; what stands in the address goes first."""
    user, password = (os.environ.get(f"MLFLOW_TRACKING_{name}") for name in ("USERNAME", "PASSWORD"))
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    found: dict[str, Any] = {}
    if user and password:
        found["auth"] = (user, password)
    elif token:
        found["headers"] = {"Authorization": f"Bearer {token}"}
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() == "true":
        found["verify"] = False
    elif certificate := os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"):
        found["verify"] = certificate
    return found


def _silent(address: str, error: Exception) -> UserError:
    return UserError(
        "no MLflow server answers",
        place=shown_address(address),
        found=one_line(without_account(address, str(error)), 200),
        remedy="start it (`mlflow server --host 127.0.0.1 --port 5000`), or name the right one with --uri",
    )


def refused(address: str, status: int) -> UserError:
    """The server knows this account not, or does not let it write."""
    return UserError(
        "the MLflow server refuses this account",
        place=shown_address(address),
        found=f"HTTP status {status}",
        remedy=_LOGIN,
    )


@contextmanager
def trouble(address: str) -> Iterator[None]:
    """Turn what MLflow and its server refuse into one message.

    Raises:
        UserError: they did.
    """
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        raise _failed(address, error, 0) from None
    except Exception as error:
        status = getattr(error, "get_http_status_code", None)
        if status is None:
            raise
        raise _failed(address, error, status()) from None


def _failed(address: str, error: Exception, status: int) -> UserError:
    said = one_line(without_account(address, str(error)), 300)
    if status in _REFUSED:
        return refused(address, status)
    if status == 404 or "<html" in str(error)[:2000].lower():
        return UserError(
            "what answers there is no MLflow server",
            place=shown_address(address),
            found=said,
            accepted="the address that `mlflow server` shows, with the path behind which it is served",
        )
    return UserError(
        "MLflow cannot keep the candidate",
        place=shown_address(address),
        found=said,
        remedy="once it can, push again: what is there already is completed, and nothing comes twice",
    )
