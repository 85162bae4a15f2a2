"""Where a baseline comes from: a run, a bundle, or a file that a night has written."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from ...profiles.errors import UserError
from ...profiles.files import is_file, open_regular
from ...profiles.words import one_line
from ..bundles.bundle import Bundle, read_bundle
from ..bundles.files import is_bundle
from ..checks.paired import are_sound
from ..run.stored import open_run
from .baseline import BASELINE, Anchor, Baseline, Shippable, baseline_of, machine_of, own_latency, versions_of

BASELINE_FILE = "baseline.json"
"""What a night keeps in its folder to be compared with."""
_MOST_BYTES = 8_000_000
_ACCEPTED = (
    "the directory of a run (runs/NAME), its study file, a bundle, or what `paretune nightly` has kept: the "
    f"folder of a night (nights/NAME/night-0007), or its {BASELINE_FILE}"
)


def read_baseline(path: Path) -> Baseline:
    """The baseline in whatever lies at a path.

    Raises:
        UserError: nothing can be compared with what lies there.
    """
    if path.suffix == ".json" and is_file(path):
        return from_file(path)
    if is_file(path / BASELINE_FILE):
        return from_file(path / BASELINE_FILE)
    if is_bundle(path):
        return of_bundle(read_bundle(path))
    if not path.exists():
        raise UserError("nothing is there that could be compared", place=str(path), accepted=_ACCEPTED)
    try:
        record, run_dir = open_run(path)
    except UserError as error:
        raise UserError(
            error.problem,
            place=error.place or str(path),
            found=error.found,
            accepted=error.accepted or _ACCEPTED,
            remedy=error.remedy,
        ) from None
    return baseline_of(record, str(run_dir))


def from_file(path: Path) -> Baseline:
    """A baseline that was written to a file.

    Raises:
        UserError: it cannot be read.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_MOST_BYTES + 1) or b""
    except OSError as error:
        raise UserError(f"cannot be read ({error.strerror})", place=str(path), accepted=_ACCEPTED) from None
    if len(content) > _MOST_BYTES:
        raise UserError("too large for what a night keeps", place=str(path), accepted=_ACCEPTED)
    try:
        found = BASELINE.validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        raise _damaged(path, f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg']}") from None
    kept = [one for one in (found.shipped, *found.others) if one is not None]
    scores = [score for one in kept for score in one.metrics.values()] + [found.anchor.quality]
    results = [score.by_sample for score in scores if score is not None]
    if not all(are_sound(one) for one in results if one is not None):
        raise _damaged(path, "results of samples that are fewer than it says")
    return found


def _damaged(path: Path, found: str) -> UserError:
    return UserError(
        "this is not what a night has kept to be compared with",
        place=str(path),
        found=one_line(found, 120),
        accepted=_ACCEPTED,
    )


def of_bundle(bundle: Bundle) -> Baseline:
    """What a bundle says of itself: it has no score of each sample, and knows no other candidates."""
    reference = bundle.reference
    anchor = Anchor()
    if reference is not None:
        anchor = Anchor(
            artifact_key=reference.artifact_key,
            backend=reference.backend,
            versions=reference.versions,
            latency_ms=own_latency(bundle.metrics),
        )
    return Baseline(
        source=f"the bundle {bundle.folder}",
        study=bundle.study,
        quality=bundle.quality,
        higher_is_better=bundle.higher_is_better,
        profile=bundle.profile,
        ended=bundle.ended,
        shipped=Shippable(
            number=bundle.trial,
            digest=bundle.digest,
            title=bundle.title,
            artifact_key=bundle.artifact_key,
            split=bundle.split,
            metrics=bundle.metrics,
        ),
        anchor=anchor,
        estimated=bundle.estimated,
        machine=machine_of(bundle.environment),
        versions={**versions_of(bundle.environment), **bundle.versions},
    )
