"""How a device is reached."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ..text.figures import Strict
from ..text.named import HostText, RemotePath, UserText


class LocalReach(Strict):
    """The machine that runs Paretune."""

    kind: Literal["local"] = "local"


class SshReach(Strict):
    """A device reached by OpenSSH. `python` is the interpreter there that has numpy and the runtime;
    `workdir` is where files are put (relative paths start at the login directory).
    """

    kind: Literal["ssh"] = "ssh"
    host: HostText
    user: UserText | None = None
    port: Annotated[int, Field(gt=0, lt=65536)] | None = None
    python: RemotePath = "python3"
    workdir: RemotePath = ".cache/paretune/device"


class NoReach(Strict):
    """A device that can be planned for but not measured on."""

    kind: Literal["none"] = "none"


Reach = LocalReach | SshReach | NoReach
