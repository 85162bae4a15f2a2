"""Searches schedules for the functions of a model by trying them on this machine.

Each round takes one function, builds and measures some schedules of it, and writes what it learned at once,
so that whatever ends the search leaves what was found.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
import types
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...profiles.errors import StageError
from .measuring import Counts, builder, lightly, runner
from .standing import TaskStanding, next_task, round_size

WORKLOADS, RECORDS = "database_workload.json", "database_tuning_record.json"
Known = list[tuple[Any, list[Any]]]
"""The functions of a folder of records, each with its records as JSON: trace, seconds, target, arguments."""
_KEPT = 4  # of each task that is known from elsewhere


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """So many schedules, until this moment of `time.monotonic`."""

    trials: int
    until: float

    def left(self, tried: int, longest_s: float) -> bool:
        """Whether another round as long as the longest one fits."""
        return tried < self.trials and time.monotonic() + longest_s < self.until


def search(
    module: Any, target: Any, architecture: str, budget: Allowance, known: Sequence[Path], into: Path
) -> dict[str, Any]:
    """Tune the functions of a module that is ready for it (`schedules.ready`), and write records into `into`.

    Raises:
        StageError: every schedule failed to build or to run.
    """
    started = time.monotonic()
    _leave_intrinsics()
    tasks = _tasks(module, target)
    database = open_database(into)
    others = readable(known)
    standings = [_standing(task, database, others) for task in tasks]
    budget = replace(budget, trials=budget.trials - sum(one.tried for one in standings))
    counts = Counts()
    with tempfile.TemporaryDirectory(prefix="paretune-tvm-") as folder, lightly(Path(folder)):
        _rounds(tasks, standings, architecture, Path(folder), database, budget, counts)
    failed = sum(counts.failed.values())
    if counts.trials and failed == counts.trials:
        cause, _ = counts.failed.most_common(1)[0]
        raise StageError(
            "tune", f"all {failed} schedules that were tried failed: {cause}", "\n".join(counts.failed)
        )
    return {
        "tasks": len(tasks),
        "tasks_known": sum(one.known for one in standings),
        "tasks_tuned": sum(one.seconds is not None for one in standings),
        "trials": counts.trials,
        "failed": failed,
        "seconds": round(time.monotonic() - started, 1),
    }


def _rounds(
    tasks: Sequence[Any],
    standings: list[TaskStanding],
    architecture: str,
    folder: Path,
    database: Any,
    budget: Allowance,
    counts: Counts,
) -> None:
    """Rounds until the budget or the tasks are exhausted."""
    from tvm.s_tir import meta_schedule as ms

    if next_task(standings) is None:
        return
    parts = {"builder": builder(architecture, folder, counts), "runner": runner(counts)}
    cost_model = ms.cost_model.CostModel.create("random")
    rules = _rules(int(tasks[0].target.attrs["num-cores"]))
    contexts = [_context(task, number, rules) for number, task in enumerate(tasks)]
    longest = 0.0
    while (chosen := next_task(standings)) is not None and budget.left(counts.trials, longest):
        began, tried = time.monotonic(), counts.trials
        size = round_size(standings[chosen], budget.trials - counts.trials)
        ms.tune.tune_tasks(
            tasks=[contexts[chosen]],
            task_weights=[1.0],
            work_dir=str(folder),
            max_trials_global=size,
            num_trials_per_iter=size,
            database=database,
            cost_model=cost_model,
            **parts,
        )
        task = tasks[chosen]
        standings[chosen] = standings[chosen].after(counts.trials - tried, best_seconds(database, task))
        longest = max(longest, time.monotonic() - began)


def _tasks(module: Any, target: Any) -> list[Any]:
    from tvm.s_tir.meta_schedule.relax_integration import extract_tasks

    return sorted(extract_tasks(module, target), key=lambda task: str(task.task_name))


def _context(task: Any, number: int, rules: Sequence[Any]) -> Any:
    from tvm.s_tir import meta_schedule as ms

    space = ms.space_generator.PostOrderApply(
        sch_rules=list(rules),
        postprocs=ms.postproc.Postproc.create("llvm"),
        mutator_probs=ms.mutator.Mutator.create("llvm"),
    )
    return ms.TuneContext(
        mod=task.dispatched[0],
        target=task.target,
        space_generator=space,
        search_strategy="replay-trace",
        task_name=task.task_name,
        rand_state=number + 1,
        num_threads=1,
    )


_INTRINSICS = "tvm.s_tir.tensor_intrin"


def _leave_intrinsics() -> None:
    """TVM asks for the intrinsics of all processors and cards, and parses them for a minute; every process
    that builds does so, and each build then ends by its time limit. Our rules use none."""
    sys.modules.setdefault(_INTRINSICS, types.ModuleType(_INTRINSICS))


def _rules(threads: int) -> list[Any]:
    """MetaSchedule's rules for loops on a CPU. (Those for single processors add integer intrinsics alone.)

    On one thread no loop is made parallel: handing it to TVM's threads costs half a microsecond each time.
    """
    from tvm.s_tir import meta_schedule as ms

    rules = list(ms.schedule_rule.ScheduleRule.create("llvm"))
    if threads > 1:
        return rules
    parallel = ms.schedule_rule.ParallelizeVectorizeUnroll
    serial = parallel(
        max_jobs_per_core=-1, max_vectorize_extent=64, unroll_max_steps=[0, 16, 64, 512], unroll_explicit=True
    )
    return [serial if isinstance(rule, parallel) else rule for rule in rules]


def _standing(task: Any, database: Any, known: Sequence[Known]) -> TaskStanding:
    """Where a task stands at the start: known from another model, which is taken over; tried before by an
    earlier session of this tuning; or new."""
    module, weight = task.dispatched[0], float(task.weight)
    own = records_of(database, module)
    workload = database.commit_workload(module)
    theirs = next(filter(None, (_replayed(one, module, workload) for one in known)), [])
    if not own:
        for record in theirs:
            database.commit_tuning_record(record)
    seconds = best_seconds(database, task)
    if theirs:
        return TaskStanding(weight=weight, seconds=seconds, known=True)
    return TaskStanding(weight=weight, seconds=seconds, tried=len(own), rounds=int(bool(own)))


def _replayed(theirs: Known, module: Any, workload: Any) -> list[Any]:
    """Their best records of a function as records of ours.

    A schedule names the blocks of its function, which may be called otherwise here. One that does not run
    through would make the whole file of records unreadable, so it is tried first.
    """
    from tvm.s_tir.meta_schedule.database import TuningRecord
    from tvm_ffi import structural_equal

    found = []
    for other, records in theirs:
        if not structural_equal(other, module):
            continue
        for record in sorted(records, key=lambda record: min(record[1]))[:_KEPT]:
            text = _renamed(json.dumps(record), _blocks(other), _blocks(module))
            with suppress(Exception):  # ScheduleError, and what else TVM raises
                found.append(TuningRecord.from_json(json.loads(text), workload))
    return found


def _renamed(text: str, names: Sequence[str], ours: Sequence[str]) -> str:
    """A schedule as JSON with our names of blocks, also where they begin the name of a block made of them."""
    pairs = sorted(zip(names, ours, strict=False), key=lambda pair: -len(pair[0]))
    for number, (name, _) in enumerate(pairs):
        text = re.sub(rf'"{re.escape(name)}(?=["_])', f'"@{number}@', text)
    for number, (_, name) in enumerate(pairs):
        text = text.replace(f'"@{number}@', f'"{name}')
    return text


def _blocks(module: Any) -> list[str]:
    """The names of the blocks of a function, in its order."""
    from tvm.tirx.stmt_functor import post_order_visit

    names: list[str] = []

    def visit(node: Any) -> None:
        if type(node).__name__ == "SBlock" and node.name_hint != "root":
            names.append(str(node.name_hint))

    post_order_visit(module["main"].body, visit)
    return names


def records_of(database: Any, module: Any, most: int = 2**20) -> list[Any]:
    """The records of a function, the best first."""
    if not database.has_workload(module):
        return []
    return list(database.get_top_k(database.commit_workload(module), most))


def best_seconds(database: Any, task: Any) -> float | None:
    """Seconds of the best schedule of a task; None where none is known."""
    best = next(iter(records_of(database, task.dispatched[0], 1)), None)
    return min(map(float, best.run_secs)) if best is not None and best.run_secs else None


def open_database(folder: Path) -> Any:
    """The records in a folder, to be added to; what a kill left of a last line is cut off."""
    from tvm.s_tir import meta_schedule as ms

    for path in (folder / WORKLOADS, folder / RECORDS):
        whole = _whole_lines(path)
        if path.is_file() and path.stat().st_size > len(whole):
            path.write_bytes(whole)
    return ms.database.JSONDatabase(str(folder / WORKLOADS), str(folder / RECORDS))


def read_database(folder: Path) -> Any:
    """The records in a folder that is left as it is."""
    with tempfile.TemporaryDirectory(prefix="paretune-tvm-") as copies:
        for name in (WORKLOADS, RECORDS):
            (Path(copies) / name).write_bytes(_whole_lines(folder / name))
        return open_database(Path(copies))


def readable(folders: Sequence[Path]) -> list[Known]:
    """The records of those folders that can be read; another one is as good as not there."""
    found = []
    for folder in folders:
        with suppress(Exception):  # TVM raises what it likes
            found.append(_known(folder))
    return found


def _known(folder: Path) -> Known:
    from tvm.s_tir.meta_schedule.database import Workload

    lines = [json.loads(line) for line in _whole_lines(folder / WORKLOADS).splitlines()]
    functions: Known = [(Workload.from_json(line).mod, []) for line in lines]
    for line in _whole_lines(folder / RECORDS).splitlines():
        number, record = json.loads(line)
        functions[number][1].append(record)
    return functions


def _whole_lines(path: Path) -> bytes:
    content = path.read_bytes() if path.is_file() else b""
    return content[: content.rfind(b"\n") + 1]
