"""What unwinds an evaluation that is not to go on."""

from __future__ import annotations

from ...profiles.errors import UserError
from .protocols import Decision, Milestone

INTERRUPTED = "interrupted"
"""Why a search ended that the user has stopped."""
ALL_EVALUATED = "every candidate of the space was evaluated"
"""Why a search ended that has nothing left to try."""


class Interrupted(Exception):  # noqa: N818 - a signal to unwind, not an error
    """The search was asked to stop between two stages; `why` is a short sentence."""

    def __init__(self, why: str) -> None:
        self.why = why
        super().__init__(why)


ENDS_EARLY = "the study ends early: "
"""How the problem begins of a device that is gone."""


class DeviceGoneError(UserError):
    """The device does not answer any more, and was waited for: the study ends, with all that it knows."""


class NoTimeLeft(Interrupted):
    """What was about to begin would not end in the time that is left."""


class TrainingStopped(Exception):  # noqa: N818 - a decision, not an error
    """A training was given up or paused at a milestone: what it had come to, why, and the seconds that were
    spent on it now. Its checkpoint is kept."""

    def __init__(self, milestone: Milestone, decision: Decision, seconds: float) -> None:
        self.milestone, self.decision, self.seconds = milestone, decision, seconds
        super().__init__(decision.reason)
