"""Profiles by name or path: the shipped ones, files of the user, and `host`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UserError
from ..text.named import file_text, located, refused_at
from ..text.problems import suggestion
from ..text.strict_yaml import read_model
from .schema import Profile

if TYPE_CHECKING:
    from .host import Probe

HOST = "host"
_SHIPPED = Path(__file__).parents[1]


def shipped_profiles() -> tuple[str, ...]:
    """Names of the profiles that come with Paretune, sorted (`host` is not among them: it is probed)."""
    return tuple(sorted(path.stem for path in _SHIPPED.glob("*.yaml")))


def load_profile(name_or_path: str, base: Path | None = None, probes: Sequence[Probe] = ()) -> Profile:
    """The profile of that name, or in that file; "host" is the machine at hand, probed (see `probe_host`).

    A text with a path separator or the ending .yaml or .yml is a path, relative to `base` (the directory of
    the study file; the current directory when left out).

    Raises:
        UserError: there is no such profile, or its file is not right.
    """
    with refused_at("profile"):
        file_text(name_or_path)
    if name_or_path == HOST:
        from .host import probe_host

        return probe_host(probes=probes)
    if is_path(name_or_path):
        return read_model(Profile, located(name_or_path, base or Path()), "profile")
    if name_or_path not in shipped_profiles():
        raise _unknown(name_or_path)
    return read_model(Profile, _SHIPPED / f"{name_or_path}.yaml", "profile")


def is_path(text: str) -> bool:
    """Whether a text names a file, and not a profile that ships."""
    return "/" in text or "\\" in text or text.lower().endswith((".yaml", ".yml"))


def _unknown(name: str) -> UserError:
    names = (HOST, *shipped_profiles())
    near = suggestion(name, names)
    return UserError(
        f"unknown profile {name!r}" + (f"; did you mean {near!r}?" if near else ""),
        accepted=f"{', '.join(names)}; or the path of a profile file (ending in .yaml)",
    )
