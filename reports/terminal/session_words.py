"""What a session says on the terminal beside its answer."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

STOPPING = (
    "stopping after the stage at hand; press Ctrl-C again to stop a training at the end of its epoch",
    "stopping at the end of the epoch; once more stops at once",
    "stopping at once; what was finished is kept",
)


def has_ended(file: str, again: str, *, estimated: bool = False) -> str:
    """Of a study in which nothing is left to do; `file` has its budget, `again` is a command."""
    if estimated:
        return (
            f"this study has ended, nothing was estimated anew; a larger `budget` in {file} lets it go on, "
            "`--measurements FILE` corrects its estimates"
        )
    return (
        f"this study has ended, nothing was measured or changed; a larger `budget` in {file} lets it go on, "
        f"`{again}` measures its finalists once more"
    )


def retarget_command(study: Path, profile: str, where: Sequence[str]) -> str:
    """The command that goes on with a retargeted study."""
    limits = "".join(f" --where {shlex.quote(limit)}" for limit in where)
    return f"paretune retarget {study} --profile {profile}{limits}"
