"""Many simulated searches in several processes, each kept as soon as it has ended."""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.command import tell, write_figures

Job = dict[str, Any]
"""What a search is called with: `strategy`, `seed`, and all else that decides how it ends, but the code."""
Run = dict[str, Any]
Search = Callable[..., Run]


def run_all(
    search: Search, jobs: Sequence[Job], *, out: Path, table: str, fresh: Sequence[str], workers: int
) -> list[Run]:
    """All runs, in the order of `jobs`. Those that are kept beside `out` from the same table (by its digest)
    are not run again, unless their strategy is to be `fresh`."""
    files = [out.with_name(out.name + ".parts") / f"{_key(job, table)}.json" for job in jobs]
    wanted = zip(files, jobs, strict=True)
    left = {file: job for file, job in wanted if job["strategy"] in fresh or not file.is_file()}
    tell(f"{len(jobs) - len(left)} of {len(jobs)} runs are kept from before")
    for count, (file, run) in enumerate(_run(search, left, workers), start=1):
        write_figures(file, run)
        tell(f"[{count}/{len(left)}] {_told(left[file], run)}")
    return [json.loads(file.read_text()) for file in files]


def digest_of(*files: Path) -> str:
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


def _run(search: Search, jobs: dict[Path, Job], workers: int) -> Iterator[tuple[Path, Run]]:
    if workers == 1:
        yield from ((file, _quietly(search, job)) for file, job in jobs.items())
        return
    with ProcessPoolExecutor(max_workers=workers) as pool:
        futures = {pool.submit(_quietly, search, job): file for file, job in jobs.items()}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _quietly(search: Search, job: Job) -> Run:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna's, of what it calls experimental
        return search(**job)
