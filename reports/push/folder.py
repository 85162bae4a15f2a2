"""A folder as the Hugging Face hub lays out a model: the card on top, the bundle beside it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ...profiles.errors import UserError
from ...profiles.files import folder_aside, make_folder, sync, sync_tree, write_whole
from ...search.bundles.bundle import damages, read_bundle
from ...search.bundles.files import MANIFEST, is_bundle
from ..bundle.write import bundle_written
from .card import model_card
from .parcel import Parcel
from .pushed import FOLDER, Pushed

CARD, ATTRIBUTES, BUNDLE = "README.md", ".gitattributes", "bundle"
_LARGE = (".npz", ".npy", ".bin")


def to_folder(parcel: Parcel, into: Path, name: str, license_id: str = "") -> Pushed:
    """Write the folder, whole or not at all, in the place of one that was written before.

    Raises:
        UserError: something else stands there, or it cannot be written.
    """
    ours = is_bundle(into / BUNDLE) and (into / CARD).is_file()
    if os.path.lexists(into) and not ours and (into.is_symlink() or not into.is_dir() or any(into.iterdir())):
        raise UserError(
            "something else stands where the folder belongs",
            place=str(into),
            remedy="name another with --into, or move it away",
        )
    card = model_card(parcel, name, license_id)
    if ours and _is_the_same(into, parcel, card):
        return Pushed(to=FOLDER, where=str(into), trial=parcel.bundle.trial, already=True)
    with bundle_written(into):
        make_folder(into.parent)
        with folder_aside(into.parent, "push") as aside:
            fill_folder(parcel, aside / "new", card)
            sync_tree(aside)
            if os.path.lexists(into):
                into.replace(aside / "earlier")
            (aside / "new").replace(into)
        sync(into.parent)
    return Pushed(to=FOLDER, where=str(into), trial=parcel.bundle.trial)


def fill_folder(parcel: Parcel, folder: Path, card: str) -> None:
    """Lay out a new folder.

    Raises:
        OSError: it cannot be written.
    """
    folder.mkdir()
    shutil.copytree(parcel.bundle.folder, folder / BUNDLE)
    write_whole(folder / CARD, card)
    write_whole(folder / ATTRIBUTES, _attributes(parcel))


def _attributes(parcel: Parcel) -> str:
    """What git keeps as large files."""
    names = [Path(name) for name in parcel.bundle.files]
    suffixes = {path.suffix for path in names if path.suffix in _LARGE}
    artifact = parcel.bundle.artifact
    suffixes |= {artifact.suffix} if artifact.suffix else set()
    patterns = [f"*{suffix}" for suffix in sorted(suffixes)]
    patterns += [] if artifact.suffix else [f"{BUNDLE}/{artifact.name}"]
    return "".join(f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in patterns)


def _is_the_same(into: Path, parcel: Parcel, card: str) -> bool:
    there = into / BUNDLE
    try:
        same = (there / MANIFEST).read_bytes() == (parcel.bundle.folder / MANIFEST).read_bytes()
        return same and (into / CARD).read_text(encoding="utf-8") == card and not damages(read_bundle(there))
    except (OSError, ValueError, UserError):
        return False
