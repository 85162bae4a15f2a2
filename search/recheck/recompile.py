"""The weights of an artifact, compiled once more by the runtime of another environment."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from ...backends.registry import get_backend
from ...backends.runner.client import Guard, RunnerClient
from ...profiles.errors import ParetuneError, StageError, UnsupportedError
from ...profiles.words import one_line
from ..stages.device.calibration_samples import drawn
from ..stages.device.deployment import Deployment
from ..stages.device.settings import settings_of
from ..stages.device.tune import model_of
from ..store.opening import entry_in
from ..store.store import Entry
from .kept import KeptArtifact
from .questions import StudyNow
from .runtimes import RuntimePlace


@dataclass(frozen=True, kw_only=True)
class Recompiled:
    """The artifact that came of it; None where that was not possible, for the reason."""

    artifact: KeptArtifact | None = None
    reason: str = ""


def recompiled(
    artifact: KeptArtifact, place: RuntimePlace, now: StudyNow | None, into: Path, guard: Guard
) -> Recompiled:
    """Compile there what the artifact was compiled from, into a folder that is made."""
    if now is None:
        return Recompiled(reason="its calibration data is not to be had without the workload")
    if artifact.described.get("tuned") or get_backend(artifact.backend).tunable:
        return Recompiled(reason="it would have to be tuned again, which a study does")
    try:
        source = entry_in(artifact.store, "export", artifact.source)
        if source is None:
            return Recompiled(reason="the store no longer has its float model")
        return Recompiled(artifact=_compiled(artifact, source, place, now, into, guard))
    except (StageError, UnsupportedError) as error:
        cause = error.cause if isinstance(error, StageError) else error.reason
        return Recompiled(reason=one_line(cause, 300))
    except (ParetuneError, OSError) as error:
        return Recompiled(reason=one_line(str(error), 300))


def _compiled(
    artifact: KeptArtifact, source: Entry, place: RuntimePlace, now: StudyNow, into: Path, guard: Guard
) -> KeptArtifact:
    candidate, treatment, how = artifact.evaluation.candidate, artifact.evaluation.treatment, artifact.setting
    target = get_backend(artifact.backend).target(now.job.profile)
    deployment = Deployment(
        batch=how.batch, threads=how.threads, device="", instructions="", targets={artifact.backend: target}
    )
    settings = settings_of(candidate, deployment, True, treatment, how)
    data = drawn(now.models.calibration()[0], candidate, treatment).data
    into.mkdir(parents=True, exist_ok=True)
    try:
        with RunnerClient(place.launch, guard=guard) as runner:
            made = runner.compile(artifact.backend, model_of(source, None), settings, data, into)
    except ParetuneError:
        with suppress(OSError):  # what an earlier try has left stays
            into.rmdir()
            into.parent.rmdir()
        raise
    described = {**artifact.described, "errors": dict(made.errors)}
    return replace(artifact, file=made.path, described=described)
