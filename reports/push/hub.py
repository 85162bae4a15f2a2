"""A candidate as a model repository on the Hugging Face hub."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ...profiles.errors import UserError
from ...profiles.words import one_line
from ..bundle.write import bundle_written
from .card import model_card
from .folder import fill_folder
from .libraries import library
from .parcel import Parcel
from .pushed import HUB, Pushed, shown_address, without_account

_INSTALL = "pip install 'paretune[hub]'"
_LOGIN = "`hf auth login`, or set HF_TOKEN to a token that may write"


@dataclass(frozen=True, kw_only=True, repr=False)
class Hub:
    """A hub with a token for it, and the repository `name`. `api` is the client of huggingface_hub."""

    api: Any
    name: str

    @classmethod
    def named(cls, name: str | None, uri: str | None = None) -> Hub:
        """The hub at `uri` (left out: that of HF_ENDPOINT), with the token of whoever is logged in.

        Raises:
            UserError: no repository is named, huggingface_hub is not installed, or no token is there.
        """
        if not name or "/" not in name.strip("/"):
            raise UserError(
                "the hub needs the name of a repository",
                place="--name",
                found=name or "",
                accepted="USER/REPOSITORY, or ORGANIZATION/REPOSITORY",
            )
        hub = library("huggingface_hub", _INSTALL, "the Hugging Face hub")
        token = hub.get_token()
        if not token:
            raise UserError("no token for the Hugging Face hub is there", remedy=_LOGIN)
        hub.utils.disable_progress_bars()
        hub.utils.logging.set_verbosity_error()
        return cls(api=hub.HfApi(endpoint=uri, token=token), name=name)


def to_hub(parcel: Parcel, hub: Hub, license_id: str = "", *, public: bool = False) -> Pushed:
    """Upload card and bundle to the repository, which is made where it is not there, private unless `public`.
    What is there already is not sent again.

    Raises:
        UserError: the hub does not answer or refuses, or what is not meant for all would go where all see it.
    """
    folder = parcel.bundle.folder.parent / "hub"
    with bundle_written(folder):
        fill_folder(parcel, folder, model_card(parcel, hub.name.rpartition("/")[2], license_id))
    with _trouble(hub.api.endpoint, hub.name):
        if not hub.api.repo_exists(hub.name):
            hub.api.create_repo(hub.name, private=not public)
        before = hub.api.repo_info(hub.name)
        if not public and before.private is False:
            raise UserError(
                "all may see the repository, and test samples would be in it",
                place=hub.name,
                remedy="push with --public, which leaves them out, or to another repository",
            )
        done = hub.api.upload_folder(
            repo_id=hub.name, folder_path=str(folder), commit_message=_message(parcel)
        )
    return Pushed(
        to=HUB,
        where=shown_address(f"{hub.api.endpoint}/{hub.name}"),
        trial=parcel.bundle.trial,
        already=done.oid == before.sha,
        notes=(f"commit {done.oid}",),
    )


def _message(parcel: Parcel) -> str:
    bundle = parcel.bundle
    return f"Trial {bundle.trial} of {bundle.study}: {bundle.title}"[:200]


@contextmanager
def _trouble(endpoint: str, name: str) -> Iterator[None]:
    """Turn what the hub and its client refuse into one message.

    Raises:
        UserError: they did.
    """
    errors: Any = library("huggingface_hub.errors", _INSTALL, "the Hugging Face hub")
    try:
        yield
    except errors.HFValidationError as error:
        raise UserError(
            "not the name of a repository",
            place="--name",
            found=one_line(str(error), 300),
            accepted="USER/REPOSITORY",
        ) from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        raise _refused(endpoint, name, status, str(error)) from error
    except Exception as error:
        if not isinstance(error, OSError) and "httpx" not in type(error).__module__:
            raise
        raise UserError(
            "the hub does not answer",
            place=shown_address(endpoint),
            found=one_line(without_account(endpoint, str(error)), 200),
            remedy="see that there is a network and that HF_ENDPOINT and HF_HUB_OFFLINE are as they should "
            "be; --to folder writes the same files without any",
        ) from error


def _refused(endpoint: str, name: str, status: int, said: str) -> UserError:
    remedy = {
        401: f"the token is not known there: {_LOGIN}",
        403: f"the token may not write to {name}: {_LOGIN}",
        404: "see that the account or organization exists, and that the token may see it",
    }
    return UserError(
        "the hub refuses",
        place=shown_address(endpoint),
        found=one_line(without_account(endpoint, said), 300),
        remedy=remedy.get(status, "push again later: what arrived is not sent twice"),
    )
