"""A study on a cluster with Slurm: scheduler and driver run where this is started, each worker is a job.

    pip install 'paretune[workers,s3,postgres]' dask-jobqueue   # in the environment that the nodes see, too
    python slurm.py STUDY [JOBS]        # brings up so many workers (8), runs the study, and lets them go
    python slurm.py --show              # prints the script of a job

Start it where it may run as long as the study does: in a job of its own (`sbatch --time=2-0 --wrap "python
slurm.py STUDY"`), or on a login node in tmux. Study file and workload lie on a disk that all nodes see;
started again, the study goes on. Change `WORKER` to what a training needs and your partitions offer.
"""

from __future__ import annotations

import subprocess
import sys

import dask
from dask_jobqueue import SLURMCluster

WORKER = {
    "cores": 4,
    "memory": "16GB",
    "walltime": "08:00:00",
    # "queue": "gpu", "account": "mine", "job_extra_directives": ["--gres=gpu:1"],
}

SCHEDULER = {
    "distributed.scheduler.worker-ttl": "10 minutes",
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.allowed-failures": 2,
}


def cluster() -> SLURMCluster:
    """A scheduler in this process, and jobs of one worker that trains one candidate at a time."""
    return SLURMCluster(
        **WORKER,
        processes=1,
        name="paretune",
        # The cores are the training's (`threads` in the study file): a worker has one task at a time.
        worker_extra_args=[
            "--nthreads=1",
            "--memory-limit=0",
            "--no-dashboard",
            "--dashboard-address=127.0.0.1:0",
            "--preload=paretune.search.cluster.on_worker",
        ],
        scheduler_options={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
        local_directory="/tmp",  # noqa: S108 - of the node
    )


def main(arguments: list[str]) -> int:
    """The exit code of the study."""
    with dask.config.set(SCHEDULER), cluster() as found:
        if arguments == ["--show"]:
            print(found.job_script())
            return 0
        study, jobs = arguments[0], int(arguments[1]) if len(arguments) > 1 else 8
        found.scale(jobs=jobs)
        command = ["paretune", "run", study, "--cluster", found.scheduler_address]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
