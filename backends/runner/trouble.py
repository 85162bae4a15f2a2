"""Why a device gives no runner: the kind, which decides whether waiting may help."""

from __future__ import annotations

from enum import Enum

from ...profiles.errors import UserError
from .launch import Launch


class Trouble(Enum):
    """What keeps a device from giving a runner; the value is what it does, in words."""

    SILENT = "does not answer"
    TURNED_AWAY = "turned us away before the login"
    REFUSED = "does not let us in"
    STRANGER = "is another machine than the one that is known here"
    NO_RUNNER = "has no runner for us"
    FULL = "has no space left"
    HERE = "cannot be asked: this machine's own ssh does not run"

    @property
    def mends(self) -> bool:
        """Whether it may be over after a while, without anybody's doing."""
        return self in (Trouble.SILENT, Trouble.TURNED_AWAY)

    @property
    def may_be_a_start(self) -> bool:
        """Whether a device that is starting, whose homes and disks are not all there yet, may do that."""
        return self in (Trouble.REFUSED, Trouble.NO_RUNNER)


class UnreachableError(UserError):
    """A device gives no runner."""

    def __init__(
        self,
        launch: Launch,
        trouble: Trouble,
        *,
        found: str,
        remedy: str,
        problem: str = "",
        accepted: str = "",
    ) -> None:
        self.device, self.trouble, self.why = launch.device, trouble, problem or f"it {trouble.value}"
        super().__init__(
            f"device {launch.device} cannot be reached: {self.why}",
            found=found,
            accepted=accepted,
            remedy=remedy,
        )
