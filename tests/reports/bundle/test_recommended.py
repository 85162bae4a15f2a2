"""The bundle with which a run ends: of what is recommended at that end, and not of an end before it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from paretune.reports.bundle.recommended import recommended_bundle
from paretune.search.ranking.reading import Reading, read
from paretune.search.record.evaluation import StudyRecord

FIRST, SECOND = "2026-11-29T06:01:00+00:00", "2026-11-29T06:02:00+00:00"


@pytest.fixture
def ended(exportable: StudyRecord) -> Any:
    """The study at an end that recommends a trial."""

    def ended(at: str, number: int) -> Reading:
        reading = read(replace(exportable, ended=at))
        return replace(reading, verdict=replace(reading.verdict, recommended=number))

    return ended


def manifest(bundle: Path | None) -> tuple[str, int]:
    assert bundle is not None
    told = json.loads((bundle / "manifest.json").read_text())
    return told["ended"], told["trial"]


def test_a_run_that_changed_nothing_leaves_the_bundle_of_this_end_and_mends_another(
    ended: Any, tmp_path: Path
) -> None:
    first = recommended_bundle(ended(FIRST, 0), tmp_path)
    assert manifest(first) == (FIRST, 0)
    made = (tmp_path / "bundle").stat().st_ino
    (tmp_path / ".bundle.left_1ab").mkdir()
    recommended_bundle(ended(FIRST, 0), tmp_path, renew=False)
    assert [path.name for path in tmp_path.glob(".*")] == []
    assert (tmp_path / "bundle").stat().st_ino == made
    # The search went on, and a kill came after its end and before its bundle.
    assert manifest(recommended_bundle(ended(SECOND, 3), tmp_path, renew=False)) == (SECOND, 3)
    assert [path.name for path in tmp_path.glob(".*")] == []
