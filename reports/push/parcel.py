"""What is pushed: the bundle of one candidate, and what is to be said of it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ...profiles.errors import UserError
from ...search.bundles.bundle import Bundle, read_bundle
from ...search.bundles.files import MANIFEST
from ...search.ranking.known import searched_metrics, trial_of
from ...search.ranking.reading import Reading
from ...search.record.evaluation import Finalist, Quantity, StudyRecord, TrialRecord
from ..bundle.companions import USUAL, Beside
from ..bundle.write import export_bundle
from ..content.columns import tested_metrics


@dataclass(frozen=True, kw_only=True)
class Parcel:
    """A bundle with the reading that it comes from. `run_dir` is the run's directory."""

    reading: Reading
    bundle: Bundle
    run_dir: Path

    @property
    def record(self) -> StudyRecord:
        """The study's."""
        return self.reading.record

    @property
    def trial(self) -> TrialRecord:
        """The trial whose artifact it is."""
        return trial_of(self.record, self.bundle.trial)

    @property
    def finalist(self) -> Finalist | None:
        """What the finals found of it, where it was in them."""
        return next((one for one in self.record.finalists if one.number == self.bundle.trial), None)

    @property
    def content(self) -> str:
        """Names all that is in the bundle: its manifest has the hash of each file, and every number."""
        return hashlib.sha256((self.bundle.folder / MANIFEST).read_bytes()).hexdigest()

    @property
    def artifact_sha256(self) -> str:
        """Of the compiled model."""
        return self.bundle.files[self.bundle.artifact.name].sha256

    @property
    def metrics(self) -> Mapping[str, Quantity]:
        """Every number, named as in `trials.csv`: `test_` stands before those of the test split."""
        tested = tested_metrics(self.record, self.trial)
        return {**searched_metrics(self.trial), **{f"test_{name}": q for name, q in tested.items()}}


NO_DATA = Beside(samples=None, without="samples are data, and this was made for a public place")


@contextmanager
def packed(reading: Reading, number: int, run_dir: Path, *, public: bool = False) -> Iterator[Parcel]:
    """The parcel of a complete trial, in a folder that is gone afterwards. In a `public` one travel no test
    samples, which may be nobody else's business.

    Raises:
        UserError: no such trial, or it has no artifact; there is no room for it.
    """
    try:
        folder = TemporaryDirectory(prefix="paretune-push-")
    except OSError as error:
        raise UserError(
            "no folder for temporary files can be made", found=error.strerror or str(error)
        ) from error
    with folder as name:
        bundle = export_bundle(reading.record, number, Path(name) / "bundle", NO_DATA if public else USUAL)
        yield Parcel(reading=reading, bundle=read_bundle(bundle), run_dir=run_dir)
