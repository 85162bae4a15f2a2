"""Kills in the middle of studies with many workers: what is lost, what is corrupt, what is made twice.

    python -m benchmarks.faults.workers --out workers.json --rounds 5

Each round is the toy study, whose trainings take some seconds, on two workers: in even rounds on a cluster of
Dask's own commands. At random moments of a seeded plan SIGKILL comes to a worker, to a runner of one, to the
scheduler (started again with its workers, as a supervisor does), and to the driver, which is started again.
After each kill `checks.py` reads database and store without the product. At the end the whole space has been
evaluated, and each candidate's accuracy must be that of a study by one process that nobody killed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.command import finish, parser_of, tell, whole
from benchmarks.faults.checks import Seen, check_all, check_end
from benchmarks.faults.dask_cluster import DaskCluster, evaluating
from benchmarks.faults.site import Site, end, unkilled, wait_for
from benchmarks.faults.toy import ENVIRONMENT, toy_site, toy_study

LONG = {"epochs": 16, "finetune_epochs": 1, "learning_rate": 0.01, "batch": 2}
"""Of seconds, so that a kill comes in the middle of one."""
WORKER, RUNNER, HEAD, DRIVER = "worker", "runner of a worker", "scheduler", "driver"
ENDED = (0, 2, 3)
LONGEST_S = 900.0


def site_in(folder: Path, **changes: Any) -> Site:
    """The toy study, whose whole space is evaluated."""
    space = {**toy_study()["space"], "student": {"width": [4, 8, 12]}, "precision": ["fp32", "int8"]}
    site = toy_site(folder, None, budget={"trials": 60}, space=space, training=LONG, stop="never", **changes)
    site.environment = ENVIRONMENT
    return site


def qualities(site: Site) -> dict[str, float]:
    """The accuracy of each candidate, as the report has it."""
    trials = json.loads((site.report / "report.json").read_text())["record"]["trials"]
    complete = [one["evaluation"] for one in trials if one["evaluation"]["outcome"] == "complete"]
    return {
        json.dumps(one["candidate"], sort_keys=True): one["metrics"]["accuracy"]["value"] for one in complete
    }


class Round:
    """One study under kills, until it ends by itself."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.rng, self.seen, self.rows = random.Random(seed), Seen(), list[dict[str, Any]]()
        self.cluster = None if seed % 2 else DaskCluster(folder / "cluster", ENVIRONMENT)
        workers: Any = 2
        if self.cluster is not None:
            self.cluster.up(2)
            workers = {"cluster": self.cluster.address}
        self.site = site_in(folder / "site", workers=workers)

    def run(self) -> None:
        plan = [WORKER, RUNNER, DRIVER, *([HEAD] if self.cluster else [WORKER])]
        self.rng.shuffle(plan)
        process, deadline = self.site.start("run", self.site.study), time.monotonic() + LONGEST_S
        try:
            for victim in plan:
                if not wait_for(process, self._under_way, 0.05):
                    break
                time.sleep(self.rng.uniform(0, 6))
                self._strike(victim, process)
                if process.poll() is not None and victim == DRIVER:
                    process = self.site.start("run", self.site.study)
            process.wait(timeout=max(1.0, deadline - time.monotonic()))
        finally:
            end(process)
        code = process.returncode
        if code not in ENDED:
            tell(self.site.said()[-2000:])
        found = check_end(self.site, self.seen, code).plain()
        self.rows.append({"victim": "none: the end", "code": code, **found})

    def _under_way(self) -> bool:
        """Whether a training has a checkpoint, and workers are there."""
        process_there = bool(self.cluster.workers() if self.cluster else True)
        return process_there and any((self.site.store / ".work").glob("distill.*/checkpoint.pt"))

    def _strike(self, victim: str, process: Any) -> None:
        if not self._killed(victim, process):
            return
        time.sleep(1)
        found, _ = check_all(self.site, self.seen)
        self.rows.append({"victim": victim, "told": len(self.seen.told), **found.plain()})
        tell(f"{victim:20} {len(self.seen.told):3} told  {found.plain()}")

    def _killed(self, victim: str, process: Any) -> bool:
        if victim == HEAD and self.cluster is not None:
            self.cluster.kill_head()
            time.sleep(self.rng.uniform(1, 15))
            self.cluster.up(2)
            return True
        if victim == DRIVER:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            return True
        workers = self.cluster.workers() if self.cluster else evaluating(process)
        if victim == RUNNER:
            workers = [child for one in workers for child in one.children(recursive=True)]
        if workers:
            self.rng.choice(workers).kill()
        return bool(workers)

    def close(self) -> None:
        if self.cluster is not None:
            self.cluster.close()


def campaign(options: argparse.Namespace) -> dict[str, Any]:
    rows, equal = list[dict[str, Any]](), 0
    with tempfile.TemporaryDirectory(prefix="paretune-workers-") as folder:
        alone = site_in(Path(folder) / "alone")
        assert unkilled(alone, "run", alone.study) in ENDED, alone.said()
        for seed in range(options.rounds):
            one = Round(Path(folder) / f"round-{seed}", seed)
            try:
                one.run()
            finally:
                one.close()
            same = one.rows[-1]["code"] in ENDED and qualities(one.site) == qualities(alone)
            equal += same
            rows += one.rows
            tell(f"round {seed}: {one.rows[-1]}, accuracies {'as' if same else 'NOT as'} without kills")
    return {"rounds": options.rounds, "equal": equal, "rows": rows}


def show(found: dict[str, Any]) -> None:
    """A line per victim: kills, and what was found after them."""
    kills = Counter(row["victim"] for row in found["rows"])
    print(f"{'victim':24}{'kills':>8}{'lost':>8}{'corrupt':>8}{'twice':>8}")
    for victim, count in kills.items():
        rows = [row for row in found["rows"] if row["victim"] == victim]
        sums = [sum(len(row[name]) for row in rows) for name in ("lost", "corrupt", "twice")]
        print(f"{victim:24}{count:8}" + "".join(f"{one:8}" for one in sums))
    print(f"{found['equal']} of {found['rounds']} studies ended with the accuracies of the undisturbed one")


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=whole(1), default=5)
    return finish(campaign, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
