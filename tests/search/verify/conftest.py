"""A bundle that runs, for each test."""

import pytest
from running_bundles import MadeBundle


@pytest.fixture
def made(tmp_path):
    """A bundle that does what its manifest says."""
    return MadeBundle(tmp_path / "bundle")
