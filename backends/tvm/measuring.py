"""Builds and measures schedules in processes of their own, which may crash and hang; counts what failed."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from . import worker
from .link import command_for

_BUILD_S, _RUN_S = 60.0, 20.0
_LEAST_MS, _REPEATS = 3, 5


class Counts:
    """How many schedules were tried, and why those that failed did."""

    def __init__(self) -> None:
        self.trials = 0
        self.failed: Counter[str] = Counter()

    def add(self, error: str | None) -> None:
        """One that failed for this reason; None: it was measured."""
        if error:
            self.failed[next(filter(None, map(str.strip, reversed(error.splitlines()))), "")[:300]] += 1


@contextmanager
def lightly(folder: Path) -> Iterator[None]:
    """While this lasts, processes that are started do without torch, which `tvm_ffi` imports where it is:
    seconds and 190 MB for each. Something is written into `folder`, which must last as long."""
    (folder / "torch.py").write_text("raise ImportError('not needed here')\n")
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), *filter(None, [before])])
    try:
        yield
    finally:
        del os.environ["PYTHONPATH"]
        os.environ.update({"PYTHONPATH": before} if before is not None else {})


def builder(architecture: str, folder: Path, counts: Counts) -> Any:
    """A builder of MetaSchedule's whose processes stay from round to round."""
    from tvm.ir.utils import derived_object
    from tvm.s_tir import meta_schedule as ms
    from tvm.support.popen_pool import PopenPoolExecutor, StatusKind

    by_value()
    processes = len(os.sched_getaffinity(0))
    pool = PopenPoolExecutor(max_workers=processes, timeout=_BUILD_S)
    linker = command_for(architecture)

    @derived_object
    class Building(ms.builder.PyBuilder):  # type: ignore[misc]
        def build(self, inputs: Any) -> list[Any]:
            asked = [(one.mod, one.target, linker, str(folder)) for one in inputs]
            counts.trials += len(asked)
            return [self._one(answer) for answer in pool.map_with_error_catching(_build, asked)]

        def _one(self, answer: Any) -> Any:
            if answer.status == StatusKind.COMPLETE:
                return ms.builder.BuilderResult(answer.value, None)
            late = answer.status == StatusKind.TIMEOUT
            error = f"building took more than {_BUILD_S:g} s" if late else str(answer.value)
            counts.add(error)
            return ms.builder.BuilderResult(None, error)

    return Building()


def _build(asked: Any) -> Any:
    return worker.build(*asked)


def runner(counts: Counts) -> Any:
    """A runner of MetaSchedule's that takes the fastest of several repetitions."""
    from tvm.ir.utils import derived_object
    from tvm.s_tir import meta_schedule as ms

    by_value()
    inner = ms.runner.LocalRunner(
        timeout_sec=_RUN_S,
        evaluator_config=ms.runner.EvaluatorConfig(number=1, repeat=_REPEATS, min_repeat_ms=_LEAST_MS),
        f_run_evaluator=worker.least,
    )

    @derived_object
    class Measuring(ms.runner.PyRunner):  # type: ignore[misc]
        def run(self, inputs: Any) -> list[Any]:
            futures = inner.run(inputs)
            for future in futures:
                counts.add(future.result().error_msg)
            return list(futures)

    return Measuring()


def by_value() -> None:
    """Have functions of ours sent whole: those processes cannot import this package."""
    import cloudpickle

    for module in (worker, sys.modules[__name__]):
        cloudpickle.register_pickle_by_value(module)
