"""How few trainings a search needs: a real table as the objective, by the real driver, in simulated time.

Every row is one architecture. A "training" reveals its accuracy, a "measurement" its latency on the device.
The limit is the device's median latency. Scored is the hypervolume between what was trained so far and the
reference point (20 points under the best accuracy, the limit), in plain units, as a share of the true
front's; rows over the limit are worth nothing. Printed: trainings until 90 % and 95 % of it, median and
quartiles over seeds, and how many times fewer ours needs than the best of Optuna's own samplers.

A search begins with an uncompressed teacher. The slowest row that is less than 20 points worse than the
best stands in for it: real numbers, the same for every sampler, counted as no training and worth nothing.

    python -m benchmarks.replay.run --table nas201_hardware.csv.gz --seeds 20 --out replay.json

The table is a csv file, compressed or not. A column `arch` in NAS-Bench-201 notation becomes one axis per
edge; otherwise each column that is no metric is an axis. By default accuracy is `cifar10_valid` (a search
sees validation, never test), and each column that begins with `latency_ms_` is a device. Runs are kept beside
--out in FILE.parts and not run again, unless `--fresh SAMPLER,...` asks for it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch, which the Gaussian process needs, is loaded

from paretune.profiles.errors import ParetuneError, UserError

from benchmarks.replay.runs import SAMPLERS, Settings, run_once
from benchmarks.replay.summary import print_tables, summary
from benchmarks.replay.table import digest_of_file, load_problem, read_table

PREFIX = "latency_ms_"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One search: all that decides how it ends, but the code."""

    table: str
    accuracy: str
    latency: str
    others: tuple[str, ...]
    sampler: str
    seed: int
    settings: Settings

    @property
    def device(self) -> str:
        """The latency column without the prefix."""
        return self.latency.removeprefix(PREFIX) or self.latency

    def key(self, digest: str) -> str:
        """Names the run; `digest` is that of the table."""
        told = {**asdict(self), "table": digest}
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]


def run_job(job: Job) -> dict[str, Any]:
    """Run one search; what is left of it as plain values."""
    problem = load_problem(Path(job.table), job.accuracy, job.latency, job.others)
    begun = time.perf_counter()
    found = run_once(problem, job.sampler, job.seed, job.settings)
    wall = round(time.perf_counter() - begun, 2)
    return {"device": job.device, "sampler": job.sampler, "seed": job.seed, **found, "wall_seconds": wall}


class Parts:
    """The runs that are done, one JSON line each, so that an interrupted benchmark goes on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done: dict[str, dict[str, Any]] = {}
        for line in path.read_text().splitlines() if path.is_file() else []:
            try:
                part = json.loads(line)
                self.done[part["key"]] = part
            except ValueError:
                continue  # a line that was cut off by a kill: that run is done again

    def add(self, key: str, part: dict[str, Any]) -> None:
        """Keep a run. The line begins anew where a kill cut the last one off."""
        self.done[key] = {"key": key, **part}
        cut_off = self.path.is_file() and not self.path.read_bytes().endswith(b"\n")
        with self.path.open("a") as file:
            file.write(("\n" if cut_off else "") + json.dumps(self.done[key]) + "\n")


def run_all(jobs: list[Job], parts: Parts, fresh: set[str], workers: int) -> list[dict[str, Any]]:
    """All runs, in the order of `jobs`; those that are not kept already are run."""
    digests = {job.table: digest_of_file(Path(job.table)) for job in jobs}
    keys = {job: job.key(digests[job.table]) for job in jobs}
    left = [job for job in jobs if job.sampler in fresh or keys[job] not in parts.done]
    _tell(f"{len(jobs) - len(left)} of {len(jobs)} runs are kept from before")
    for count, (job, part) in enumerate(_run(left, workers), start=1):
        parts.add(keys[job], part)
        _tell(f"[{count}/{len(left)}] {_told(part)}")
    return [parts.done[keys[job]] for job in jobs]


def _told(part: dict[str, Any]) -> str:
    return (
        f"{part['device']} {part['sampler']} seed {part['seed']}: {part['share']:.3f} of the front, "
        f"{part['trainings']} trainings, {part['trials']} trials, {part['wall_seconds']} s"
    )


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _run(jobs: list[Job], workers: int) -> Iterator[tuple[Job, dict[str, Any]]]:
    if workers == 1:
        yield from ((job, run_job(job)) for job in jobs)
        return
    with _pool(workers) as pool:
        futures = {pool.submit(run_job, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    pool = ProcessPoolExecutor(max_workers=workers)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def main(argv: list[str] | None = None) -> int:
    """Run the benchmark."""
    options = _parser().parse_args(argv)
    try:
        jobs = _jobs(options)
        options.out.parent.mkdir(parents=True, exist_ok=True)
        parts = Parts(options.out.with_name(options.out.name + ".parts"))
        runs = run_all(jobs, parts, set(options.fresh), options.jobs)
    except ParetuneError as error:
        print(error, file=sys.stderr)
        return 1
    found = summary(runs, options.budget)
    aside = options.out.with_name(options.out.name + ".new")
    aside.write_text(json.dumps(found, indent=1) + "\n")
    aside.replace(options.out)
    print_tables(found, options.budget)
    print(f"written: {options.out}")
    return 0


def _jobs(options: argparse.Namespace) -> list[Job]:
    unknown = [name for name in (*options.samplers, *options.fresh) if name not in SAMPLERS]
    if unknown:
        raise UserError("no such sampler", found=", ".join(unknown), accepted=", ".join(SAMPLERS))
    columns = list(read_table(options.table, (options.accuracy,)).columns)
    latencies = options.latency or [name for name in columns if name.startswith(PREFIX)]
    if not latencies:
        raise UserError("no column holds a latency", accepted=f"--latency, or columns named {PREFIX}DEVICE")
    metrics = {options.accuracy, *latencies, *options.ignore}
    if "arch" in columns:  # then nothing else is an axis
        metrics |= {name for name in columns if name != "arch"}
    settings = Settings(
        budget=options.budget,
        train_seconds=options.train_seconds,
        measure_seconds=options.measure_seconds,
    )
    # Seed by seed, so that an interrupted benchmark has some of everything.
    return [
        Job(
            table=str(options.table),
            accuracy=options.accuracy,
            latency=latency,
            others=tuple(sorted(metrics - {options.accuracy, latency})),
            sampler=sampler,
            seed=seed,
            settings=settings,
        )
        for sampler in options.samplers
        for seed in range(options.seeds)
        for latency in latencies
    ]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--accuracy", default="cifar10_valid", metavar="COLUMN")
    parser.add_argument("--latency", type=_names, default=[], metavar="COLUMN,...")
    parser.add_argument(
        "--ignore", type=_names, default=[], metavar="COLUMN,...", help="no axes and no metrics"
    )
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--samplers", type=_names, default=list(SAMPLERS), metavar="NAME,...")
    parser.add_argument("--budget", type=int, default=100, help="trainings per search")
    parser.add_argument("--train-seconds", type=float, default=600.0, help="simulated, of one training")
    parser.add_argument("--measure-seconds", type=float, default=1.0, help="simulated, of one measurement")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--fresh", type=_names, default=[], metavar="NAME,...", help="samplers to run anew")
    return parser


if __name__ == "__main__":
    sys.exit(main())
