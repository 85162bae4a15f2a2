"""Many simulated searches in several processes, each kept as soon as it has ended."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.command import tell

Job = dict[str, Any]
"""What a search is called with: `strategy`, `seed`, and all else that decides how it ends, but the code."""
Run = dict[str, Any]
Search = Callable[..., Run]


class KeptRuns:
    """The runs that are done, one JSON line each, so that an interrupted benchmark goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, Run] = {}
        for line in path.read_text().splitlines() if path.is_file() else []:
            with suppress(ValueError):  # a line that was cut off by a kill: that run is done again
                run = json.loads(line)
                self.done[run["key"]] = run

    def add(self, key: str, run: Run) -> None:
        """Keep a run. The line begins anew where a kill cut the last one off."""
        self.done[key] = {"key": key, **run}
        cut_off = self.path.is_file() and not self.path.read_bytes().endswith(b"\n")
        with self.path.open("a") as file:
            file.write("\n" * cut_off + json.dumps(self.done[key]) + "\n")


def run_all(
    search: Search, jobs: Sequence[Job], *, out: Path, table: str, fresh: Sequence[str], workers: int
) -> list[Run]:
    """All runs, in the order of `jobs`. Those that are kept beside `out` from the same table (by its digest)
    are not run again, unless their strategy is to be `fresh`."""
    out.parent.mkdir(parents=True, exist_ok=True)
    kept = KeptRuns(out.with_name(out.name + ".parts"))
    keys = [_key(job, table) for job in jobs]
    left = {
        key: job
        for key, job in zip(keys, jobs, strict=True)
        if job["strategy"] in fresh or key not in kept.done
    }
    tell(f"{len(jobs) - len(left)} of {len(jobs)} runs are kept from before")
    for count, (key, run) in enumerate(_run(search, left, workers), start=1):
        kept.add(key, run)
        tell(f"[{count}/{len(left)}] {_told(left[key], run)}")
    return [kept.done[key] for key in keys]


def digest_of(*files: Path) -> str:
    """SHA-256 of the files' bytes."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _key(job: Job, table: str) -> str:
    told = json.dumps({**job, "table": table}, sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:24]


def _told(job: Job, run: Run) -> str:
    name = " ".join(filter(None, [job.get("latency"), job["strategy"], f"seed {job['seed']}"]))
    spent = f"{run['trainings']} trainings, {run['trials']} trials"
    return f"{name}: {run['share']:.3f} of the front, {spent}"


def _run(search: Search, jobs: dict[str, Job], workers: int) -> Iterator[tuple[str, Run]]:
    if workers == 1:
        yield from ((key, _quietly(search, job)) for key, job in jobs.items())
        return
    with ProcessPoolExecutor(max_workers=workers) as pool:
        futures = {pool.submit(_quietly, search, job): key for key, job in jobs.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _quietly(search: Search, job: Job) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, of what it calls experimental
        return search(**job)
