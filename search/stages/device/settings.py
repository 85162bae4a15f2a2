"""How a candidate is compiled."""

from __future__ import annotations

from ....backends.contract.backend import CompileSettings
from ...record.candidate import Candidate
from ...record.treatment import Treatment
from .runners import Deployment


def settings_of(
    candidate: Candidate, deployment: Deployment, check: bool, treatment: Treatment
) -> CompileSettings:
    """What the compiler is asked for, as the treatment changes it."""
    return CompileSettings(
        precision=candidate.precision,
        batch=deployment.batch,
        calibration_method=treatment.calibration_method or candidate.calibration_method or "minmax",
        per_channel=candidate.per_channel,
        nm_sparsity=candidate.sparsity == "2:4",
        target=deployment.targets.get(candidate.backend, ""),
        check=check,
        keep_float=treatment.keep_float,
    )
