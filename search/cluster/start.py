"""A cluster to work on: started on this machine, or one that runs already."""

from __future__ import annotations

import logging
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ...profiles.errors import UserError
from ..job.workers_section import WorkersSection

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 20.0
INSTALL = "pip install 'paretune[workers]'"
_HERE = "127.0.0.1"


def check_installed() -> None:
    """Raises:
    UserError: the engine is not installed.
    """
    if find_spec("distributed") is None:
        raise UserError(
            "several workers need Dask distributed, which is not installed", place="workers", remedy=INSTALL
        )


def on_this_machine(address: str) -> bool:
    """Whether a scheduler's address is one that no other machine can reach."""
    host = address.rpartition("://")[2].rpartition(":")[0].strip("[]")
    return host in ("localhost", "::1") or host.startswith("127.")


@contextmanager
def cluster(wanted: WorkersSection) -> Iterator[Client]:
    """A client of the cluster that was asked for; one that is started here ends with the block, and listens
    on this machine's loopback alone.

    Raises:
        UserError: the engine is not installed, workers cannot be started, or nobody answers at the address.
    """
    check_installed()
    import dask
    from distributed import Client

    for name in ("distributed", "distributed.client"):  # what is lost is told in our words
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with dask.config.set(_settings(wanted.count or 1)):
        if wanted.cluster is not None:
            with _joined(wanted.cluster) as client:
                yield client
            return
        with _started(wanted.count or 1) as here, Client(here, set_as_default=False) as client:
            yield client


@contextmanager
def _started(count: int) -> Iterator[Any]:
    from distributed import LocalCluster

    try:
        here = LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            processes=True,
            host=_HERE,
            dashboard_address=None,
            # It has pages of its own in any case: at a free port, so that nothing is said of one that is not.
            scheduler_kwargs={"dashboard_address": f"{_HERE}:0"},
            worker_dashboard_address=None,
            name=f"paretune-{uuid.uuid4().hex[:8]}",
            preload=["paretune.search.cluster.on_worker"],
            memory_limit=None,
            silence_logs="CRITICAL",
        )
    except (OSError, RuntimeError) as error:
        cause = error.__cause__ or error
        raise UserError(
            "the workers cannot be started here",
            place="workers",
            found=str(cause) or type(cause).__name__,
            remedy="in a script, call it below `if __name__ == '__main__':`, as workers import it once more; "
            "else see what memory is left, and start fewer: what was finished is kept",
        ) from error
    try:
        yield here
    finally:
        with suppress(Exception):  # workers that were killed meanwhile
            here.close()


@contextmanager
def _joined(address: str) -> Iterator[Client]:
    from distributed import Client

    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise UserError(
            "no scheduler of Dask's answers there",
            place="cluster",
            found=f"{address}: {error or type(error).__name__}",
            accepted="the address that `dask scheduler` prints, such as tcp://head:8786",
            remedy="start it, or look whether a firewall is between",
        ) from error
    try:
        yield client
    finally:
        client.close()


def _settings(count: int) -> dict[str, Any]:
    """Of the engine: what a study needs otherwise. Workers that are started here share the cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // count))
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    return {
        **{f"distributed.nanny.pre-spawn-environ.{name}": threads for name in names},
        # Trainings hold the interpreter for long; a worker that is killed is seen by its line.
        "distributed.scheduler.worker-ttl": "10 minutes",
        "distributed.worker.daemon": False,
        "distributed.comm.timeouts.connect": "10 s",
        "distributed.scheduler.work-stealing": False,
        "distributed.admin.low-level-log-length": 1000,
    }
