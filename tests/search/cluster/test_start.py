"""Clusters started here, and those that are joined: what is told in our words, and what stays as it was."""

import logging
import signal
import socket
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import dask
import distributed
import psutil
import pytest
import yaml
from contracts.store_contract import until
from paretune.profiles.errors import UserError
from paretune.search.cluster import on_worker, run, start
from paretune.search.cluster.run import workers_of
from paretune.search.cluster.start import cluster
from paretune.search.driver.budget import Budget
from paretune.search.job.job import load_job
from paretune.search.job.workers_section import WorkersSection
from paretune.search.record.progress import Progress
from paretune.search.store.store import Store
from study.conftest import Bench


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    return load_job(Bench(tmp_path_factory.mktemp("start")).study())


@pytest.fixture
def nobody():
    """An address at which nobody answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize(
    ("scheme", "settings", "problem"),
    [
        ("tcp", {}, "no scheduler of Dask's answers"),
        ("tls", {}, "cannot be spoken to so"),
        ("tcp", {"distributed.comm.require-encryption": True}, "cannot be spoken to so"),
        ("carrier-pigeon", {}, "no scheduler of Dask's answers"),
    ],
)
def test_a_wrong_address_is_told_in_our_words_before_anything_is_trained(
    job, tmp_path, monkeypatch, nobody, scheme, settings, problem
):
    monkeypatch.setattr(start, "CONNECT_S", 0.2)
    makes = workers_of(WorkersSection(cluster=f"{scheme}://{nobody}"), job.places.storage, "blobs")
    with dask.config.set(settings), pytest.raises(UserError, match=problem) as refused:
        makes(job, Store(tmp_path), Budget(trials=1, seconds=None), Progress())
    assert nobody in refused.value.found


@pytest.fixture
def board(tmp_path):
    """A job whose device is another machine."""
    cpu = {"model": "some", "architecture": "x86-64", "cores": 1, "threads": 1, "source": "test"}
    cpu |= {"instruction_sets": ["avx2"], "memory_bytes": {"value": "1 GB", "source": "test"}}
    profile = {"name": "board", "title": "A board", "cpu": cpu, "reach": {"kind": "ssh", "host": "board"}}
    (tmp_path / "board.yaml").write_text(yaml.safe_dump(profile))
    return load_job(Bench(tmp_path).study(profile="./board.yaml"))


READY = threading.Event()


def ready(study):
    """In place of `on_worker.get_ready`."""
    READY.set()


@pytest.mark.slow
@pytest.mark.parametrize("elsewhere", [True, False])
def test_workers_start_and_get_ready_beside_a_measurement_elsewhere_and_before_one_here(
    job, board, tmp_path, monkeypatch, elsewhere
):
    """The block measures."""
    measured, starts = threading.Event(), []
    READY.clear()

    @contextmanager
    def in_its_time(wanted):
        starts.append(measured.wait(60) if elsewhere else measured.is_set())
        with cluster(wanted) as client:
            yield client

    monkeypatch.setattr(run, "cluster", in_its_time)
    monkeypatch.setattr(on_worker, "get_ready", ready)
    at = {"dashboard_address": "127.0.0.1:0"}
    with distributed.LocalCluster(
        n_workers=1, processes=False, protocol="tcp", dashboard_address=None, scheduler_kwargs=at
    ) as there:
        wanted, used = WorkersSection(cluster=there.scheduler_address), board if elsewhere else job
        store, budget = Store(tmp_path / "store"), Budget(trials=1, seconds=None)
        with workers_of(wanted, used.places.storage, "blobs")(used, store, budget, Progress()) as come:
            measured.set()
            workers = come()
            assert workers.count == 1
            assert READY.wait(60 if elsewhere else 0) == elsewhere
    assert starts == [elsewhere]


@pytest.mark.slow
def test_workers_hear_neither_ctrl_c_nor_the_end_of_the_terminal_from_their_first_moment():
    """Nor does one that takes the place of another."""
    mine = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    level = logging.getLogger(distributed.__name__).level
    with cluster(WorkersSection(count=1)):
        assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mine
        (first,) = started()
        assert blocked(first) >= {signal.SIGINT, signal.SIGHUP}
        first.kill()
        until(lambda: started(but=first))
        assert blocked(started(but=first)[0]) >= {signal.SIGINT, signal.SIGHUP}
    assert logging.getLogger(distributed.__name__).level == level


def started(but=None):
    """Workers below this process, as Dask starts them."""
    children = psutil.Process().children(recursive=True)
    return [one for one in children if one != but and "--multiprocessing-fork" in command_of(one)]


def command_of(process):
    with suppress(psutil.Error):  # it has just ended
        return process.cmdline()
    return []


def blocked(process):
    """Signals that do not reach a process, whatever it does about them."""
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    (mask,) = [int(line.split()[1], 16) for line in lines if line.startswith("SigBlk")]
    return {one for one in signal.valid_signals() if mask >> (one - 1) & 1}
