"""A bundle of format 1 and one of format 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from bundle_folders import format_2, write_bundle


@pytest.fixture
def first(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "first")


@pytest.fixture
def second(tmp_path: Path) -> Path:
    folder = tmp_path / "second"
    return write_bundle(folder, **format_2(folder))
