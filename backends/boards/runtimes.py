"""Which runtimes a board gets, in which versions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...profiles.devices.schema import Profile
from ...profiles.errors import UserError
from ...profiles.packages import versions
from ..registry import backend_names, get_backend, offers, plugins
from .wheelhouse import NoWheelsError, Wheelhouse

NUMPY = "numpy"


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """A backend as a board needs it. `files` as in `Backend.device_files`; `own`: its package is the user's,
    and not to be had from an index."""

    name: str
    distributions: tuple[str, ...]
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    own: str = ""


@dataclass(frozen=True, kw_only=True)
class Gathered:
    """Wheels that were found, and the runtimes for which there are none, with the reason. `numpy` is false
    where the board has to use its own."""

    wheels: tuple[Path, ...]
    left_out: Mapping[str, str]
    numpy: bool = True


def runtimes_for(profile: Profile, names: Sequence[str] = ()) -> tuple[Runtime, ...]:
    """The backends of these names; without any, those that are installed here and offered on the device.

    Raises:
        UserError: there is no such backend, or it is not offered on the device.
    """
    for name in names:
        _check_offered(name, profile)
    return tuple(map(_runtime, dict.fromkeys(names) or _usual(profile)))


def _check_offered(name: str, profile: Profile) -> None:
    told = offers(name, profile)
    if not any(offer.offered for offer in told):
        raise UserError(f"{name} runs nothing on {profile.name}", found=told[0].reason)


def _usual(profile: Profile) -> Iterable[str]:
    for name in backend_names():
        try:
            installed = versions(get_backend(name).packages)
            if installed and any(offer.offered for offer in offers(name, profile)):
                yield name
        except UserError:  # a package that is broken stops nothing else
            continue


def _runtime(name: str) -> Runtime:
    backend = get_backend(name)
    if name in plugins() or ":" in name:
        dist = plugins()[name].dist if name in plugins() else None
        own = dist.name if dist is not None else ""
        needs = tuple(dict.fromkeys((*backend.on_device, *([own] if own else []))))
        return Runtime(name=name, distributions=needs, own=own or name)
    return Runtime(name=name, distributions=backend.on_device, files=backend.device_files)


def gather(house: Wheelhouse, runtimes: Sequence[Runtime], *, own_numpy: bool) -> Gathered:
    """Wheels in the versions that are installed here where there are such for the board, else the newest.
    `own_numpy`: the board's Python has a numpy of its own, which will do where there is no wheel.

    Raises:
        UserError: there is no numpy for the board.
    """
    fetched = [one for one in runtimes if house.given or not one.own]
    left_out = {one.name: _OWN for one in runtimes if one not in fetched}
    wanted = {name for one in fetched for name in one.distributions}
    try:
        return Gathered(wheels=house.get([*_pinned([NUMPY, *sorted(wanted)])]), left_out=left_out)
    except NoWheelsError:
        pass
    numpy = _numpy(house, own_numpy)
    found = {path.name: path for path in numpy}
    for one in fetched:
        try:
            got = _first(house, one.distributions, [*_exactly(found.values())])
        except NoWheelsError as error:
            left_out[one.name] = str(error)
        else:
            found.update({path.name: path for path in got})
    return Gathered(wheels=tuple(found.values()), left_out=left_out, numpy=bool(numpy))


_OWN = "its package is your own: `--wheels` names a folder with its wheel, or install it there"


def _numpy(house: Wheelhouse, own_numpy: bool) -> tuple[Path, ...]:
    try:
        return _first(house, [NUMPY], [])
    except NoWheelsError as error:
        if own_numpy:
            return ()
        raise UserError(
            f"there is no numpy for the board ({house.target.title})",
            found=str(error),
            remedy="see that pip reaches its index here, or name a folder with wheels by `--wheels`",
        ) from error


def _first(house: Wheelhouse, names: Sequence[str], besides: Sequence[str]) -> tuple[Path, ...]:
    """In the versions of here, else the newest, with what is there already."""
    if not names:
        return ()
    known = [one for one in besides if one.partition("==")[0] not in names]
    pinned = list(_pinned(names))
    try:
        return house.get([*pinned, *known])
    except NoWheelsError:
        if pinned == list(names):
            raise
        return house.get([*names, *known])


def _pinned(names: Iterable[str]) -> Iterable[str]:
    here = versions(names := list(names))
    return (f"{name}=={here[name]}" if name in here else name for name in names)


def _exactly(wheels: Iterable[Path]) -> Iterable[str]:
    for wheel in wheels:
        name, version = name_and_version(wheel)
        yield f"{name}=={version}"


def name_and_version(wheel: Path) -> tuple[str, str]:
    """ "ai-edge-litert" and "2.3.0" of a wheel's file name."""
    name, version = wheel.name.split("-")[:2]
    return name.replace("_", "-").lower(), version
