"""The bundle with which a run ends: what it recommends, at one place."""

from __future__ import annotations

import os
from pathlib import Path

from ...profiles.errors import UserError
from ...profiles.files import folder_aside, remove_left, sync
from ...search.bundles.files import ended_of, is_bundle, is_whole
from ...search.ranking.reading import Reading
from ...search.ranking.verdict import DO_NOTHING, MET
from .write import bundle_written, export_bundle

BUNDLE = "bundle"


def recommended_bundle(reading: Reading, run_dir: Path, *, renew: bool = True) -> Path | None:
    """Write the bundle of what a finished study recommends to `run_dir/bundle`, in the place of an earlier
    one unless `renew` is false and that is of this end of the study. Where nothing is recommended none stays,
    and None is returned.

    Raises:
        UserError: it cannot be written, or something else stands there; an earlier bundle is then as it was.
    """
    into, answer = run_dir / BUNDLE, reading.verdict
    remove_left(run_dir, BUNDLE)  # by a kill after the bundle had taken its place
    wanted = answer.recommended if answer.status in (MET, DO_NOTHING) else None
    earlier = is_bundle(into)
    if not renew and is_whole(into) and ended_of(into) == reading.record.ended:
        return into
    if wanted is None and not earlier:
        return None
    if os.path.lexists(into) and not earlier:
        raise UserError(
            "something that is no bundle stands where the recommended one belongs",
            place=str(into),
            remedy="move it away; `paretune export RUN TRIAL` writes the bundle elsewhere",
        )
    with bundle_written(into), folder_aside(run_dir, BUNDLE) as aside:
        try:
            if wanted is not None:
                export_bundle(reading.record, wanted, aside / "new")
            if earlier:
                into.replace(aside / "earlier")
            if wanted is not None:
                (aside / "new").replace(into)
        except OSError:
            if (aside / "earlier").exists():
                (aside / "earlier").replace(into)
            raise
        sync(run_dir)
    return into if wanted is not None else None


def bundle_line(reading: Reading, run_dir: Path, *, renew: bool = True) -> str:
    """What became of the bundle, in a line."""
    try:
        bundle = recommended_bundle(reading, run_dir, renew=renew)
        return f"bundle: {bundle or 'none, since no candidate is recommended'}"
    except UserError as error:
        return f"no bundle: {error}"
