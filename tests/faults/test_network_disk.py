"""A study and a store on a disk as of a network: without flock, and names taken from open files linger."""

import pytest

from benchmarks.faults.checks import Seen, check_end
from benchmarks.faults.shim import Fault
from benchmarks.faults.site import unkilled
from benchmarks.faults.toy import aged, toy_site, with_junk

pytestmark = pytest.mark.slow


def test_a_study_and_its_store_live_on_a_disk_without_flock(tmp_path, warm):
    site = toy_site(tmp_path / "site", warm, budget={"trials": 1})
    site.log = tmp_path / "log"
    site.environment = Fault(site.folder, tmp_path / "state").network("busy")
    code = unkilled(site, "run", site.study)
    assert check_end(site, Seen(), code).plain() == {"lost": [], "corrupt": [], "twice": []}, site.said()
    with_junk(site, 3, 1)
    aged(site, 30)
    assert unkilled(site, "store", "gc", site.study) == 0, site.said()
    assert len(list((site.store / "export").iterdir())) == 1
    assert not list(site.folder.rglob(".nfs*"))
