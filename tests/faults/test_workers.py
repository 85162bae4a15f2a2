"""Workers, scheduler and driver, killed in the middle of trainings: nothing is lost, nothing done twice."""

import contextlib
import os
import re
import signal
import time

import psutil
import pytest

from benchmarks.faults.checks import Seen, check_all, check_end
from benchmarks.faults.dask_cluster import DaskCluster, evaluating
from benchmarks.faults.site import end, unkilled, wait_for
from benchmarks.faults.toy import ENVIRONMENT
from benchmarks.faults.workers import qualities, site_in

pytestmark = pytest.mark.slow

NOTHING = {"lost": [], "corrupt": [], "twice": []}


def training(site, since=0.0):
    """Whether a checkpoint of a training is there, from then on, whose result is not."""
    for checkpoint in (site.store / ".work").glob("distill.*/checkpoint.pt"):
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            if checkpoint.stat().st_mtime > since:
                return True
    return False


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The same study by one process."""
    site = site_in(tmp_path_factory.mktemp("undisturbed") / "site")
    assert unkilled(site, "run", site.study) in (0, 2, 3), site.said()
    return site


def test_a_worker_is_killed_then_comes_ctrl_c_and_the_next_driver_is_killed_all_in_mid_training(
    tmp_path, undisturbed
):
    site, seen = site_in(tmp_path / "site", workers=2), Seen()
    process = site.start("run", site.study)
    try:
        assert wait_for(process, lambda: training(site), 0.05), site.said()
        evaluating(process)[0].kill()
        time.sleep(2)
        assert check_all(site, seen)[0].plain() == NOTHING
        assert wait_for(process, lambda: training(site), 0.05), site.said()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it, too
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)  # ends trainings after their epoch
        assert process.wait(timeout=120) == 130, site.said()
        assert "Traceback" not in site.said()
        assert check_all(site, seen)[0].plain() == NOTHING
        begun = time.time()
        process = site.start("run", site.study)
        assert wait_for(process, lambda: training(site, begun), 0.05), site.said()
        left = process.children(recursive=True)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        _, alive = psutil.wait_procs(left, timeout=60)
        assert not alive  # workers end with their driver
        assert check_all(site, seen)[0].plain() == NOTHING
    finally:
        end(process)
    code = unkilled(site, "run", site.study)
    assert code in (0, 2, 3), site.said()
    assert check_end(site, seen, code).plain() == NOTHING
    assert qualities(site) == qualities(undisturbed)


@pytest.fixture
def cluster(tmp_path):
    one = DaskCluster(tmp_path / "cluster", ENVIRONMENT)
    yield one
    one.close()


def test_the_scheduler_is_killed_in_mid_training_and_one_worker_has_other_versions(
    tmp_path, undisturbed, cluster
):
    other = tmp_path / "other" / "numpy-1.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0.1\n")
    elsewhere = {"PYTHONPATH": f"{other.parent}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"}
    cluster.head()
    cluster.worker("sound")
    cluster.worker("other", **elsewhere)
    site, seen = site_in(tmp_path / "site", workers={"cluster": cluster.address}), Seen()
    process = site.start("run", site.study)
    try:
        assert wait_for(process, lambda: training(site), 0.05), site.said()
        cluster.kill_head()
        assert check_all(site, seen)[0].plain() == NOTHING
        cluster.up(1)
        process.wait(timeout=300)
    finally:
        end(process)
    code = process.returncode
    assert code in (0, 2, 3), site.said()
    assert re.search(r"other is left out.*package numpy: 1\.0\.1 there, [\d.]+ expected", site.said())
    assert check_end(site, seen, code).plain() == NOTHING
    assert qualities(site) == qualities(undisturbed)
