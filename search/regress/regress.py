"""`regress`: what is shipped tonight against what was shipped then."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...profiles.errors import UserError
from ..checks.evidence import Evidence
from ..checks.tolerances import read_tolerances
from ..record.checks import Checked
from ..record.progress import Progress
from .baseline import Baseline
from .beside import ArtifactsBeside
from .compare import regressed
from .sources import read_baseline
from .subjects import shipped_subject


def regress(
    run: Path,
    against: Path,
    tolerate: Sequence[str] = (),
    *,
    side_by_side: bool = False,
    progress: Progress | None = None,
) -> Checked:
    """Compare what a run recommends with a baseline: a run, a bundle, or a file that a night has kept.

    `tolerate` says how much worse a metric may be: "latency 3 %", "accuracy 0.2 pt". A check fails only where
    more than that was lost beyond what noise explains, corrected for the number of checks. `side_by_side`
    measures both artifacts now, in the same rounds on this machine, in the place of what was recorded.

    Raises:
        UserError: one of the two cannot be read or has nothing to compare, or a tolerance cannot be read.
    """
    then, now = read_baseline(against), read_baseline(run)
    tolerances = read_tolerances(tolerate, now.quality)
    check_comparable(then, now)
    beside: tuple[Evidence, ...] = ()
    if side_by_side and now.shipped is not None:
        two = ArtifactsBeside(against=against, run=run, then=then, now=now, progress=progress or Progress())
        beside = two.evidence(shipped_subject(now.shipped), tolerances)
    return regressed(then, now, tolerances, beside)


def check_comparable(then: Baseline, now: Baseline) -> None:
    """Refuse two nights that have nothing to do with each other.

    Raises:
        UserError: the baseline has nothing that was shipped, or is of another workload.
    """
    if then.shipped is None:
        raise UserError(
            "the baseline recommends nothing, so that nothing can be worse",
            place=then.source,
            remedy="name a run whose study came to an answer, or a bundle",
        )
    if then.workload and now.workload and then.workload != now.workload:
        raise UserError(
            "the baseline is of another workload",
            place=then.source,
            found=then.workload,
            accepted=now.workload,
        )
