"""Workers, scheduler and driver, killed in the middle of trainings: nothing is lost, nothing done twice."""

import json
import os
import random
import re
import signal
import sys
import time

import psutil
import pytest
from postgresql import free_port

from benchmarks.faults.checks import Seen, check_all, check_end
from benchmarks.faults.site import end, kill, unkilled, wait_for
from benchmarks.faults.toy import ENVIRONMENT, toy_site, toy_study

pytestmark = pytest.mark.slow

NOTHING = {"lost": [], "corrupt": [], "twice": []}
LONG = {"training": {"epochs": 16, "finetune_epochs": 1, "learning_rate": 0.01, "batch": 2}}
"""Of seconds, so that a kill comes in the middle of one."""


def site_in(folder, **changes):
    whole = {"budget": {"trials": 60}, "space": {**toy_study()["space"], "student": {"width": [4, 8, 12]}}}
    site = toy_site(folder, None, **whole, **LONG, **changes)
    site.environment = ENVIRONMENT
    return site


def training(site):
    """Whether a checkpoint of a training is there whose result is not."""
    return any((site.store / ".work").glob("distill.*/checkpoint.pt"))


def workers_of(process):
    """The processes that evaluate."""
    return [one for one in process.children(recursive=True) if "--multiprocessing-fork" in one.cmdline()]


def qualities(site):
    """Accuracy by candidate, as it was told."""
    report = json.loads((site.report / "report.json").read_text())["record"]
    return {
        json.dumps(one["evaluation"]["candidate"], sort_keys=True): one["evaluation"]["metrics"]["accuracy"]
        for one in report["trials"]
        if one["evaluation"]["outcome"] == "complete"
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The same study by one process."""
    site = site_in(tmp_path_factory.mktemp("undisturbed") / "site", stop="never")
    assert unkilled(site, "run", site.study) in (0, 2, 3), site.said()
    return site


def test_a_worker_and_then_the_driver_are_killed_in_mid_training(tmp_path, undisturbed):
    site, seen = site_in(tmp_path / "site", workers=2, stop="never"), Seen()
    process = site.start("run", site.study)
    try:
        assert wait_for(process, lambda: training(site), 0.05), site.said()
        worker = workers_of(process)[0]
        worker.kill()
        time.sleep(2)
        assert check_all(site, seen)[0].plain() == NOTHING
        assert wait_for(process, lambda: training(site), 0.05), site.said()
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


class Cluster:
    """A scheduler and workers of Dask's own commands, each in a process of its own."""

    def __init__(self, folder):
        folder.mkdir()
        self.folder, self.port, self.processes = folder, free_port(), []
        self.address = f"tcp://127.0.0.1:{self.port}"

    def scheduler(self):
        self._start("scheduler", "--port", str(self.port))
        return self.processes[-1]

    def worker(self, name, **environment):
        where = self.folder / name
        options = ("--nthreads", "1", "--name", name, "--local-directory", str(where))
        self._start("worker", self.address, *options, environment=environment)

    def _start(self, *words, environment=None):
        command = [sys.executable, "-m", "dask", *words, "--host", "127.0.0.1", "--no-dashboard"]
        variables = {**os.environ, **ENVIRONMENT, **(environment or {})}
        with (self.folder / f"{len(self.processes)}.log").open("w") as log:
            self.processes.append(
                psutil.Popen(command, env=variables, stdout=log, stderr=log, start_new_session=True)
            )

    def close(self):
        for process in self.processes:
            end(process)


@pytest.fixture
def cluster(tmp_path):
    one = Cluster(tmp_path / "cluster")
    yield one
    one.close()


def test_the_scheduler_is_killed_in_mid_training_and_one_worker_has_other_versions(
    tmp_path, undisturbed, cluster
):
    other = tmp_path / "other" / "numpy-1.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 1.0.1\n")
    elsewhere = {"PYTHONPATH": f"{other.parent}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"}
    head = cluster.scheduler()
    cluster.worker("sound")
    cluster.worker("other", **elsewhere)
    site, seen = site_in(tmp_path / "site", workers={"cluster": cluster.address}, stop="never"), Seen()
    process = site.start("run", site.study)
    try:
        assert wait_for(process, lambda: training(site), 0.05), site.said()
        kill(head, "driver", random.Random(0))
        assert check_all(site, seen)[0].plain() == NOTHING
        time.sleep(2)
        cluster.scheduler()
        cluster.worker("sound")
        process.wait(timeout=300)
    finally:
        end(process)
    code = process.returncode
    assert code in (0, 2, 3), site.said()
    assert re.search(r"other is left out.*package numpy: 1\.0\.1 there, [\d.]+ expected", site.said())
    assert check_end(site, seen, code).plain() == NOTHING
    assert qualities(site) == qualities(undisturbed)


def test_ctrl_c_ends_the_stages_at_hand_and_the_next_run_goes_on(tmp_path, undisturbed):
    site, seen = site_in(tmp_path / "site", workers=2, stop="never"), Seen()
    process = site.start("run", site.study)
    try:
        assert wait_for(process, lambda: training(site), 0.05), site.said()
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it, too
        time.sleep(1)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(timeout=120) == 130, site.said()
    finally:
        end(process)
    assert check_all(site, seen)[0].plain() == NOTHING
    assert "Traceback" not in site.said()
    code = unkilled(site, "run", site.study)
    assert code in (0, 2, 3), site.said()
    assert check_end(site, seen, code).plain() == NOTHING
    assert qualities(site) == qualities(undisturbed)
