"""The artifact of then and that of tonight in the same rounds, so that no machine stands between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...backends.measure.samples import LatencyPlan
from ...backends.runner.client import Guard
from ...backends.runner.launch import LocalLaunch
from ...backends.runner.leased import DeviceLease
from ...profiles.devices.loader import HOST
from ...profiles.errors import UserError
from ..bundles.bundle import Bundle, damages, read_bundle
from ..bundles.files import is_bundle
from ..checks.evidence import Evidence
from ..checks.tolerances import Tolerances
from ..recheck.kept import KeptArtifact, kept_artifacts
from ..recheck.runtimes import Openings, this_environment
from ..recheck.side_by_side import Way, costs
from ..record.candidate import Candidate
from ..record.evaluation import Evaluation, Outcome
from ..record.progress import Progress
from ..record.setting import Setting
from ..run.stored import open_run
from .baseline import Baseline

ROUNDS = 40
"""As many as finalists get by default."""


@dataclass(frozen=True, kw_only=True)
class ArtifactsBeside:
    """Where the two nights lie, and what they ship."""

    against: Path
    run: Path
    then: Baseline
    now: Baseline
    progress: Progress

    def evidence(self, subject: str, tolerances: Tolerances) -> tuple[Evidence, ...]:
        """What speaks for higher costs of tonight's artifact: latency, memory and time to load.

        Raises:
            UserError: one of them has no artifact here, or cannot be run on this machine.
        """
        self._check_here()
        before, after = self._artifact(self.against, self.then), self._artifact(self.run, self.now)
        guard = Guard()
        backends = dict.fromkeys((before.backend, after.backend))
        place = this_environment(backends, guard)
        lacking = [f"{name}: {place.lacks(name)}" for name in backends if place.lacks(name)]
        if lacking:
            said = "; ".join(lacking)
            raise UserError("this machine has no runtime for it", place="--side-by-side", found=said)
        lease = DeviceLease(LocalLaunch(), guard=guard, study="regress", note=self.progress.note)
        self.progress.stage("both artifacts side by side")
        try:
            openings = Openings(lease=lease, guard=guard)
            was, is_now = (Way(place=place, artifact=one) for one in (before, after))
            return tuple(costs(subject, openings, was, is_now, LatencyPlan(rounds=ROUNDS), tolerances))
        finally:
            lease.close()

    def _check_here(self) -> None:
        for one in (self.then, self.now):
            if one.profile not in ("", HOST) or one.estimated:
                raise UserError(
                    "artifacts are measured side by side on this machine, which is not the study's device",
                    place="--side-by-side",
                    found=f"{one.source} is for {one.profile}",
                    remedy="leave it out: ratios to the reference are compared then",
                )

    def _artifact(self, path: Path, night: Baseline) -> KeptArtifact:
        if is_bundle(path):
            return _of_bundle(read_bundle(path))
        if night.shipped is None or path.suffix == ".json":
            raise UserError(
                "there is no artifact in it to be measured side by side",
                place=str(path),
                accepted="a run whose store is there, or a bundle",
            )
        record, _ = open_run(path)
        return kept_artifacts(path, record, [night.shipped.number], self.progress)[0]


def _of_bundle(bundle: Bundle) -> KeptArtifact:
    if damaged := damages(bundle):
        said = "; ".join(f"{name}: {why}" for name, why in damaged.items())
        raise UserError("the bundle is damaged", place=str(bundle.folder), found=said)
    candidate = Candidate(backend=bundle.backend, precision=bundle.precision)
    told = tuple(bundle.options.items())
    return KeptArtifact(
        number=bundle.trial,
        evaluation=Evaluation(candidate=candidate, outcome=Outcome.COMPLETE),
        file=bundle.artifact,
        setting=Setting(threads=bundle.threads, batch=bundle.batch, options=told),
        store=str(bundle.folder),
        sample=_sample(bundle),
    )


def _sample(bundle: Bundle) -> Mapping[str, NDArray[np.generic]]:
    """One batch of inputs."""
    if bundle.sample is None:
        raise UserError("the bundle has no sample that it could be timed with", place=str(bundle.folder))
    try:
        with np.load(bundle.sample, allow_pickle=False) as arrays:
            return {name: arrays[name][: bundle.batch] for name in arrays.files}
    except (OSError, ValueError) as error:
        raise UserError(
            "the bundle's sample cannot be read", place=str(bundle.sample), found=str(error)
        ) from None
