"""The commit of the user's code, where it is in a Git repository. Git is asked, and nothing is written."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ...profiles.words import one_line

_PATIENCE_S = 10.0
_MOST_SUBJECTS, _LONGEST = 10, 100


@dataclass(frozen=True, kw_only=True)
class CodeCommit:
    """A commit, by its whole name, and what a person is shown; `dirty`: files differ from it."""

    name: str
    dirty: bool = False

    @property
    def shown(self) -> str:
        """Its first digits."""
        return self.name.partition("+")[0][:10] + (" with changes" if self.dirty else "")


def commit_of(folder: Path) -> CodeCommit | None:
    """What is checked out in the repository that a folder belongs to; None where it is in none."""
    head = _git(folder, "rev-parse", "HEAD")
    if head is None:
        return None
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no", "--", ".")
    return CodeCommit(name=head, dirty=bool(changed))


def subjects(folder: Path, before: str, now: str) -> tuple[str, ...]:
    """The subjects of the commits after `before` up to `now`, the last first; nothing where that cannot be
    told."""
    found = _git(
        folder, "log", f"--max-count={_MOST_SUBJECTS + 1}", "--format=%h %s", f"{before}..{now}", "--"
    )
    lines = [one_line(line, _LONGEST) for line in (found or "").splitlines()]
    return tuple(lines[:_MOST_SUBJECTS]) + (("...",) if len(lines) > _MOST_SUBJECTS else ())


def _git(folder: Path, *arguments: str) -> str | None:
    """What Git answers; None where there is no Git, no repository, or no answer in time."""
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=_PATIENCE_S, check=False, env=environment, text=True,
            errors="replace", stdin=subprocess.DEVNULL,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
