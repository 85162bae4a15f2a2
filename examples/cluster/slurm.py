"""A study on a cluster with Slurm: scheduler and driver run where this is started, each worker is a job.

    pip install 'paretune[workers,s3,postgres]' dask-jobqueue   # in the environment that the nodes see, too
    python slurm.py STUDY [JOBS]        # keeps so many workers (8), runs the study, and lets them go
    python slurm.py --show              # prints the script of a job

Start it where it may run as long as the study does: in a job of its own (`sbatch --time=2-0 --wrap "python
slurm.py STUDY"`), or on a login node in tmux. The study begins with the first job that Slurm starts, however
long that takes; a job that ends is submitted again. Study file and workload lie on a disk that all nodes see;
started again, the study goes on. Change `WORKER` to what a training needs and your partitions offer.

Whoever reaches the scheduler runs programs as you, here and on the nodes, and it listens on all addresses of
this machine. On a login node that others use, name the network of the nodes as `interface`, and have all
sides speak TLS by the file that docs/workers.md shows under "Security": script, jobs and driver read it.
"""

from __future__ import annotations

import argparse
import signal
import subprocess

import dask
from dask.distributed import Client
from dask_jobqueue import SLURMCluster

WORKER = {
    "cores": 4,
    "memory": "16GB",
    "walltime": "08:00:00",
    # "interface": "ib0", "queue": "gpu", "account": "mine", "job_extra_directives": ["--gres=gpu:1"],
}

SCHEDULER = {
    "distributed.scheduler.worker-ttl": "10 minutes",
    "distributed.scheduler.work-stealing": False,
}


def cluster() -> SLURMCluster:
    """A scheduler in this process, and jobs of one worker that trains one candidate at a time."""
    return SLURMCluster(
        **WORKER,
        processes=1,
        name="paretune",
        # The cores are the training's (`threads` in the study file): a worker has one task at a time. It ends
        # before its job does, not all of them at once: Slurm's kill would count against the candidate.
        worker_extra_args=[
            "--nthreads=1",
            "--memory-limit=0",
            "--no-dashboard",
            "--dashboard-address=127.0.0.1:0",
            "--preload=paretune.search.cluster.on_worker",
            "--lifetime=455m",
            "--lifetime-stagger=15m",
        ],
        scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        local_directory="/tmp",  # noqa: S108 - of the node
    )


def main() -> int:
    """The exit code of the study."""
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("study", nargs="?")
    parser.add_argument("jobs", nargs="?", type=int, default=8)
    parser.add_argument("--show", action="store_true", help="print the script of a job")
    given = parser.parse_args()
    if not given.study and not given.show:
        parser.error("which study?")
    with dask.config.set(SCHEDULER), cluster() as found:
        if given.show:
            print(found.job_script())
            return 0
        found.adapt(minimum_jobs=given.jobs, maximum_jobs=given.jobs)
        print("waiting until Slurm starts a first job (`squeue --me`)", flush=True)
        with Client(found) as client:
            client.wait_for_workers(1)
        # Ctrl-C is for the study, which has stages at hand end. (Ignored here, it would be ignored there.)
        signal.signal(signal.SIGINT, lambda *_: None)
        command = ["paretune", "run", given.study, "--cluster", found.scheduler_address]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main())
