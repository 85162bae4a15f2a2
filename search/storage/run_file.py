"""The small file in a run's directory that tells where its study is stored."""

from __future__ import annotations

import json
from pathlib import Path

from ...profiles.errors import UserError

RUN_FILE = "run.json"


def stored_study(run_dir: Path) -> tuple[str, str]:
    """URL of the storage, and name of the study, of a run's directory.

    Raises:
        UserError: there is no run there, or its file cannot be read.
    """
    file = run_dir / RUN_FILE
    if not file.is_file():
        raise UserError(
            "no run here",
            place=str(run_dir),
            accepted="the directory of a run (runs/NAME), or the study file it was run from",
        )
    try:
        plain = json.loads(file.read_text(encoding="utf-8"))
        return plain["storage"] or f"sqlite:///{run_dir.resolve() / 'study.db'}", plain["name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            "the run's own file cannot be read",
            place=str(file),
            found=str(error),
            remedy="name the study file in place of the directory; `paretune run` writes the file again",
        ) from error
