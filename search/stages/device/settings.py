"""How a candidate is compiled."""

from __future__ import annotations

from ....backends.contract.backend import CompileSettings
from ...record.candidate import Candidate
from ...record.setting import Setting
from ...record.treatment import Treatment
from .deployment import Deployment


def settings_of(
    candidate: Candidate,
    deployment: Deployment,
    check: bool,
    treatment: Treatment,
    setting: Setting | None = None,
) -> CompileSettings:
    """What the compiler is asked for, as the treatment changes it, and a setting other than the usual one."""
    how = setting or deployment.usual
    return CompileSettings(
        precision=candidate.precision,
        batch=how.batch,
        calibration_method=treatment.calibration_method or candidate.calibration_method or "minmax",
        per_channel=candidate.per_channel,
        nm_sparsity=candidate.sparsity == "2:4",
        target=deployment.targets.get(candidate.backend, ""),
        check=check,
        keep_float=treatment.keep_float,
        options=dict(how.compiled_with),
    )
