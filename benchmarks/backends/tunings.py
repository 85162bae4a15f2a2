"""Schedules that backends search for, kept beside the file of figures: no structure is tuned twice."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paretune.backends.contract.backend import CompileSettings, SourceModel
from paretune.backends.contract.tuning import Tuning
from paretune.backends.registry import backend_version
from paretune.backends.runner.client import RunnerClient

from benchmarks.command import tell

_FACTS = "facts.json"


@dataclass(frozen=True)
class Tunings:
    """A folder with one folder for each model that was tuned, and what a tuning may take."""

    folder: Path
    budget: Tuning

    def tuned(
        self, runner: RunnerClient, backend: str, source: SourceModel, settings: CompileSettings
    ) -> tuple[SourceModel, dict[str, Any]]:
        """The model with the folder of its schedules, and the facts of their search. It starts from what
        the same version of the backend has found for other models."""
        version = self.folder / _digest(f"{backend} {backend_version(backend)} {settings.target}")
        into = version / _digest(f"{settings.precision} {self.budget} {_digest(source.path.read_bytes())}")
        if not (into / _FACTS).is_file():
            known = sorted(path.parent for path in version.glob(f"*/{_FACTS}"))
            tell(f"  tuning for {self.budget.seconds:g} s at most, from what {len(known)} others have found")
            into.mkdir(parents=True, exist_ok=True)
            facts = runner.tune(backend, source, settings, self.budget, known, into)
            (into / _FACTS).write_text(json.dumps(facts))
        return replace(source, tuned=into), json.loads((into / _FACTS).read_text())


def _digest(content: str | bytes) -> str:
    data = content.encode() if isinstance(content, str) else content
    return hashlib.sha256(data).hexdigest()[:16]
