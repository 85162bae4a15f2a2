"""How a device is reached."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from ..errors import UserError
from ..text.figures import Strict
from ..text.named import HostText, RemotePath, UserText


class LocalReach(Strict):
    """The machine that runs Paretune."""

    kind: Literal["local"] = "local"


Port = Annotated[int, Field(gt=0, lt=65536)]


class SshReach(Strict):
    """A device reached by OpenSSH. `python` is the interpreter there that has numpy and the runtime;
    `workdir` is where files are put (relative paths start at the login directory). `host` may be left out
    where a pool names its devices.
    """

    kind: Literal["ssh"] = "ssh"
    host: HostText | None = None
    user: UserText | None = None
    port: Port | None = None
    python: RemotePath = "python3"
    workdir: RemotePath = ".cache/paretune/device"


class NoReach(Strict):
    """A device that can be planned for but not measured on."""

    kind: Literal["none"] = "none"


Reach = LocalReach | SshReach | NoReach


class PoolDevice(Strict):
    """One device of a pool: what its `reach` has that is not that of all."""

    host: HostText
    user: UserText | None = None
    port: Port | None = None

    @property
    def name(self) -> str:
        """What it is called: its host, and the port where it has one of its own."""
        host = f"[{self.host}]" if ":" in self.host and self.port else self.host
        return f"{host}:{self.port}" if self.port else host


def _as_mapping(value: Any) -> Any:
    """A host alone is written as text."""
    return {"host": value} if isinstance(value, str) else value


Pool = Annotated[tuple[Annotated[PoolDevice, BeforeValidator(_as_mapping)], ...], Field(min_length=1)]


def reach_of(name: str, pool: Sequence[PoolDevice], common: Reach) -> Reach:
    """How the device of that name is reached, where `common` is what holds for all ("": there is no pool).

    Raises:
        UserError: the pool has none of that name.
    """
    if not pool and not name:
        return common
    for one in pool:
        if one.name == name:
            return common.model_copy(update=one.model_dump(exclude_none=True))
    named = ", ".join(one.name for one in pool)
    raise UserError(
        f"the profile has no device {name!r}"
        if name
        else "the profile names several devices, and one is wanted",
        accepted=named or "the one that `reach` names, without a name",
    )


def check_pool(pool: Sequence[PoolDevice], reach: Reach) -> None:
    """Raises:
    ValueError: the devices are not reached by ssh, or one of them stands there twice.
    """
    if not isinstance(reach, SshReach):
        raise ValueError(f"`devices` are reached by ssh, and `reach` is of kind {reach.kind}")
    ends = [(one.host.lower(), one.port or reach.port or 22) for one in pool]
    twice = [one.name for one, end in zip(pool, ends, strict=True) if ends.count(end) > 1]
    if twice:
        raise ValueError(f"`devices` names one device twice: {', '.join(twice)}")
