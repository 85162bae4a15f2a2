"""A cluster to work on: started on this machine, or one that runs already."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ...backends.measure.space import free_memory_bytes
from ...profiles.errors import UserError
from ...profiles.system_trouble import check_open_files, explained
from ..job.workers_section import WorkersSection

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 20.0
INSTALL = "pip install 'paretune[workers]'"
LEAST_BYTES = 400_000_000
"""What a worker takes with torch loaded, before any data and models of the user's."""
FILES_EACH = 16
"""So many files and connections the driver has open for a worker, at the most."""
_HERE = "127.0.0.1"


def check_installed() -> None:
    """Raises:
    UserError: the engine is not installed.
    """
    if find_spec("distributed") is None:
        raise UserError(
            "several workers need Dask distributed, which is not installed", place="workers", remedy=INSTALL
        )


def check_room(count: int) -> None:
    """See that so many workers can be started, and do not drive this machine out of memory.

    Raises:
        UserError: they would, or this process may not open as many files.
    """
    check_open_files(count * FILES_EACH)
    free = free_memory_bytes()
    if free is not None and count * LEAST_BYTES > free:
        raise UserError(
            "the memory that is left has no room for so many workers",
            place="workers",
            found=f"{count}, which take {count * LEAST_BYTES / 1e9:.1f} GB before any data and models; "
            f"{free / 1e9:.1f} GB are free",
            accepted=f"up to {free // LEAST_BYTES}, fewer with much data",
            remedy="start fewer, end other programs, or have workers on other machines (docs/workers.md)",
        )


def on_this_machine(address: str) -> bool:
    """Whether a scheduler's address is one that no other machine can reach."""
    try:
        host = urlsplit(address if "://" in address else f"//{address}").hostname or ""
    except ValueError:  # it is none
        return False
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

    with dask.config.set(_settings(wanted.count or 1)), _silent("distributed", "distributed.client"):
        if wanted.cluster is not None:
            with _joined(wanted.cluster) as client:
                yield client
            return
        with _started(wanted.count or 1) as here, Client(here, set_as_default=False) as client:
            yield client


@contextmanager
def _silent(*names: str) -> Iterator[None]:
    """What is lost is told in our words."""
    before = [(one, one.level) for one in map(logging.getLogger, names)]
    for logger, _ in before:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)


@contextmanager
def _heard_here_alone() -> Iterator[None]:
    """Processes that are started inside, and those that take their places later, hear neither Ctrl-C nor the
    end of the terminal, from their first moment: their driver ends them. A signal is heard here at the end of
    the block, if no other thread has heard it before."""
    resource_tracker.ensure_running()  # its start lets the signals through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _started(count: int) -> Iterator[Any]:
    from distributed import LocalCluster

    try:
        with _heard_here_alone():  # threads and processes inherit what is let through
            here = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                processes=True,
                host=_HERE,
                dashboard_address=None,
                # It has pages of its own in any case: at a free port, so nothing is said of one that is not.
                scheduler_kwargs={"dashboard_address": f"{_HERE}:0"},
                worker_dashboard_address=None,
                name=f"paretune-{uuid.uuid4().hex[:8]}",
                preload=["paretune.search.cluster.on_worker"],
                memory_limit=None,
                silence_logs="CRITICAL",
            )
    except (OSError, RuntimeError) as error:
        cause = error.__cause__ or error
        raise explained(error) or UserError(
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


def check_answers(address: str) -> None:
    """Shake hands with the scheduler at an address.

    Raises:
        UserError: nobody answers there, or not so.
    """
    from distributed.comm import connect
    from distributed.security import Security

    async def shake_hands() -> None:
        settings = Security().get_connection_args("client")
        comm = await connect(address, timeout=CONNECT_S, **settings)
        await comm.close()

    try:
        with ThreadPoolExecutor(1) as apart:  # a notebook's thread has a loop of its own
            apart.submit(lambda: asyncio.run(shake_hands())).result()
    except (OSError, TimeoutError, ValueError) as error:
        raise _refused(
            address,
            error,
            "no scheduler of Dask's answers there",
            "the address that `dask scheduler` prints, such as tcp://head:8786",
            "start it, or look whether a firewall is between",
        ) from error
    except (TypeError, RuntimeError) as error:
        raise _refused(
            address,
            error,
            "the scheduler cannot be spoken to so",
            "tls:// with certificates in Dask's settings, or tcp:// where these do not ask for encryption",
            "give this machine the settings of the scheduler's (docs/workers.md, Security)",
        ) from error


@contextmanager
def _joined(address: str) -> Iterator[Client]:
    from distributed import Client

    check_answers(address)  # a client that fails otherwise than by its line is never closed
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ImportError) as error:
        raise _refused(
            address,
            error,
            "the scheduler there takes no driver from here",
            "a scheduler of the same version of Dask as is installed here",
            "run the driver in the scheduler's environment",
        ) from error
    try:
        yield client
    finally:
        client.close()


def _refused(address: str, error: Exception, problem: str, accepted: str, remedy: str) -> UserError:
    found = f"{address}: {str(error) or type(error).__name__}"
    return UserError(problem, place="cluster", found=found, accepted=accepted, remedy=remedy)


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
