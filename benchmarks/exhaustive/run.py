"""How little training a search needs on real models: a space recorded whole, then searched in its record.

Recording evaluates every candidate of a study file once, by the product's own stages: 47 trainings, and
every precision, calibration and backend of each, measured on this machine. It takes half an hour:

    python -m benchmarks.exhaustive.run --record recording.jsonl --store STORE --table DIRECTORY

(`--ahead` in a second process trains and compiles while the first one measures.) The recording that the
figures in the documentation rest on lies in benchmarks/data/digits. Searching in it takes minutes:

    python -m benchmarks.exhaustive.run --seeds 20 --out exhaustive.json

Objectives are accuracy on validation, latency and size. Scored is the hypervolume of what a search evaluated,
by the recorded values, between the reference point (5 points under the best accuracy, latency and size of the
uncompressed teacher in fp32 on the first backend) and the front, as a share of the true front's. A search
sees latencies with noise as wide as the recorded intervals. What it pays are the recorded seconds; the
teacher's simple choices are free for all. A search ends at 99 %, or after 3,000 trials (then: null).

Beside the strategies stand two orders of trainings, each with every variant: `clairvoyant`, the best one in
hindsight, and `smallest-first`, which searches nothing.

Strategies run anew are put into --out beside those that it has already from the same table and seeds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

from paretune.profiles.errors import ParetuneError, UserError

from benchmarks.exhaustive.runs import STRATEGIES, run_once
from benchmarks.exhaustive.summary import figures, print_tables, yardsticks
from benchmarks.exhaustive.table import ABOUT, POINTS, TRAININGS, load_recorded

HERE = Path(__file__).resolve().parent.parent
TABLE, STUDY = HERE / "data" / "digits", HERE / "data" / "exhaustive_digits.yaml"


def record(options: argparse.Namespace) -> None:
    """Record the space; write the table once everything is there."""
    from benchmarks.exhaustive.record import Lines, Recorder
    from benchmarks.exhaustive.write import write_table

    recorder = Recorder(options.study, options.store, Lines(options.record), ahead_only=options.ahead)
    try:
        if options.ahead:
            recorder.ahead()
            return
        recorder.record()
    finally:
        recorder.close()
    write_table(options.record, recorder.job.space, options.table)
    print(f"written: {options.table}")


def replay(options: argparse.Namespace) -> None:
    """Run the strategies that were asked for, and compare them with those that were run before."""
    unknown = [name for name in options.strategies if name not in STRATEGIES]
    if unknown:
        raise UserError("no such strategy", found=", ".join(unknown), accepted=", ".join(STRATEGIES))
    table = load_recorded(options.table)
    kept = _kept(options)
    jobs = [(options.table, name, seed) for seed in range(options.seeds) for name in options.strategies]
    runs = _run(jobs, options.jobs)
    for name in options.strategies:
        mine = [run for (_, which, _), run in zip(jobs, runs, strict=True) if which == name]
        kept[name] = figures(mine, table)
    found = {name: kept[name] for name in STRATEGIES if name in kept}
    told = {**found, **yardsticks(table)}
    print_tables(told, table)
    _write(options.out, {**told, "about": _about(options)})
    print(f"written: {options.out}")


def _kept(options: argparse.Namespace) -> dict[str, Any]:
    """Figures of an earlier call, where they rest on the same table and seeds."""
    try:
        found = json.loads(options.out.read_text())
    except (OSError, ValueError):
        return {}
    return found if found.get("about") == _about(options) else {}


def _about(options: argparse.Namespace) -> dict[str, Any]:
    digest = hashlib.sha256()
    for name in (POINTS, TRAININGS, ABOUT):
        digest.update((options.table / name).read_bytes())
    return {"seeds": options.seeds, "table_sha256": digest.hexdigest()}


def _write(path: Path, found: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".new")
    aside.write_text(json.dumps(found, indent=1) + "\n")
    aside.replace(path)


def _run(jobs: list[tuple[Path, str, int]], workers: int) -> list[dict[str, Any]]:
    if workers == 1:
        return [run_once(*job) for job in jobs]
    with ProcessPoolExecutor(max_workers=workers) as pool:
        return list(pool.map(run_once, *zip(*jobs, strict=True)))


def main(argv: list[str] | None = None) -> int:
    """Record or replay."""
    options = _parser().parse_args(argv)
    try:
        if options.record:
            record(options)
        else:
            replay(options)
    except ParetuneError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--table", type=Path, default=TABLE, help="directory of the recorded table")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="replay, and write the figures here")
    what.add_argument("--record", type=Path, metavar="FILE", help="record anew; goes on where it was")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--strategies", type=_names, default=list(STRATEGIES), metavar="NAME,...")
    parser.add_argument("--jobs", type=int, default=2, help="processes of a replay")
    parser.add_argument("--study", type=Path, default=STUDY, help="study file to record")
    parser.add_argument("--store", type=Path, default=Path("exhaustive-store"), help="of a recording")
    parser.add_argument("--ahead", action="store_true", help="record: train and compile, measure nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
