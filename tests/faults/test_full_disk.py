"""A disk that is full at one write of a study, of which `benchmarks/faults/full_disk.py` tries each kind."""

import pytest

from benchmarks.faults.full_disk import FullDisks

pytestmark = pytest.mark.slow
NOTHING = {"lost": [], "corrupt": [], "twice": []}


@pytest.fixture(scope="module")
def disks(tmp_path_factory, warm, made_store):
    found = FullDisks(tmp_path_factory.mktemp("full"), warm, made_store)
    assert (found.code, len(found.records)) == (0, 2)
    return found


def test_a_full_disk_ends_in_a_message_and_the_next_run_completes(disks):
    """When the second trial is written down, and from then on."""
    calls = [line.split(" ", 2) for line in disks.listed]
    log = [int(number) for number, what, path in calls if what == "pwrite" and path.endswith("study.db-wal")]
    full = disks.at(log[len(log) // 2], stays=True)
    assert (full.code, full.then, full.wrong, full.found.plain()) == (1, 0, "", NOTHING)
