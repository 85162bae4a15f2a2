"""A few samples that travel with an artifact, and what it gave for them on the device where it was scored.

They are asked for in their own order, as whoever has them will ask again: what a runtime computes of a sample
may depend on those beside it in the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from math import prod
from pathlib import Path
from typing import Any

from ....backends.runner.client import RunnerClient
from ....profiles.errors import StageError
from ...bundles.samples import SampleArrays, save_samples
from ...monitor.baseline import plan_text
from ...monitor.recorder import PLAN
from ...record.arrays import Integers
from ...record.digest import digest_of
from ...record.evaluation import Quantity
from ...record.setting import Setting
from ...store.store import Entry, Store
from ...workload.few_samples import few_samples
from ...workload.metrics import BUILT_IN
from ...workload.outputs import OutputChoice
from ...workload.workload import Array, Metric, Split
from .again import Again
from .interval import score
from .keys import samples_key
from .returned import returned
from .runners import Runners

SAMPLES_FILE = "samples.npz"
TEST_SPLIT = "test"
Seen = Callable[[RunnerClient, Mapping[str, Array]], None]
"""Told the runner of an artifact that was scored, and all that it gave."""
_NUMBER_BYTES = 4  # whatever the type: all artifacts of a study have the same samples


def unseen(runner: RunnerClient, outputs: Mapping[str, Array]) -> None:
    """Nobody looks."""


@dataclass(frozen=True, kw_only=True)
class Scoring:
    """What an artifact is scored on, and how: a split with its digest, the metric, the outputs that are
    meant, and the setting that it is run by."""

    compiled: Entry
    backend: str
    split: Split
    digest: str
    metric: Metric
    choice: OutputChoice
    how: Setting
    instructions: str

    @cached_property
    def rows(self) -> Integers:
        """Which samples travel."""
        shapes = [spec["shape"][1:] for spec in self.compiled.meta["outputs"]]
        return few_samples(self.split, sum(_NUMBER_BYTES * prod(shape) for shape in shapes))

    @cached_property
    def inputs(self) -> dict[str, Array]:
        """What is asked for them."""
        return {name: array[self.rows] for name, array in self.split.inputs.items()}

    def taken_into(self, given: list[dict[str, Array]]) -> Seen:
        """Puts there what the artifact gives for them, and for the whole split, once it has been run."""

        def seen(runner: RunnerClient, whole: Mapping[str, Array]) -> None:
            rows = self.rows
            if not len(rows):
                return
            alone = self.how.batch == 1  # nothing stands beside a sample
            given.append({n: a[rows] for n, a in whole.items()} if alone else runner.infer(self.inputs))
            given.append(dict(whole))

        return seen


class SampleKeeper:
    """Keeps samples with what artifacts gave for them."""

    def __init__(
        self, store: Store, runners: Runners, announce: Callable[[str], None], again: Again, held: Any
    ) -> None:
        self._store, self._runners, self._announce, self._again = store, runners, announce, again
        self._held = held

    def key(self, asked: Scoring) -> str:
        """Names all that decides what is kept."""
        choice = asked.choice
        metric = (asked.metric.name, asked.metric.digest, *choice.digest)
        how = asked.how
        data = (asked.digest, digest_of([int(row) for row in asked.rows]))
        return samples_key(asked.compiled.key, data, metric, how.batch, asked.instructions, how.options)

    def kept(
        self,
        asked: Scoring,
        outputs: Mapping[str, Array] | None = None,
        whole: Mapping[str, Array] | None = None,
    ) -> Entry:
        """The samples with the artifact's outputs, which it is asked for where they are not given, and what
        their use is compared with; `whole` has its outputs for the whole split, where it was run over it.

        Raises:
            StageError: it does not run, or a sample is too large to travel.
        """

        def make(into: Path) -> Mapping[str, Any]:
            found = self._asked(asked) if outputs is None else outputs
            labels = asked.split.labels[asked.rows]
            save_samples(
                into / SAMPLES_FILE, SampleArrays(inputs=asked.inputs, outputs=dict(found), targets=labels)
            )
            said = _said(asked, found, labels)
            plan = _monitor_plan(asked, found if whole is None else whole, said["primary"])
            (into / PLAN).write_text(plan, encoding="utf-8")
            return {**said, "monitor": PLAN}

        if not len(asked.rows):
            raise StageError("samples", "one sample alone is too large to travel")
        provenance = {"artifact": asked.compiled.key}
        return self._store.produce("samples", self.key(asked), provenance, self._again.sturdy(make))

    def _asked(self, asked: Scoring) -> dict[str, Array]:
        self._announce("run samples")
        with self._held(), ExitStack() as stack:
            runner, _, _ = self._runners.opened(asked.compiled, asked.backend, asked.how)
            stack.enter_context(runner)
            return runner.infer(asked.inputs)


def _monitor_plan(asked: Scoring, outputs: Mapping[str, Array], primary: str) -> str:
    """What inputs and outputs are like, by the outputs of the whole split or of the samples alone."""
    few = len(next(iter(outputs.values()))) < len(asked.split)
    meta = asked.compiled.meta
    return plan_text(
        asked.split.inputs,
        outputs,
        asked.split.labels[asked.rows] if few else asked.split.labels,
        metric=asked.metric.name,
        primary=primary,
        split=TEST_SPLIT,
        batch=asked.how.batch,
        shapes={spec["name"]: spec["shape"] for spec in (*meta["inputs"], *meta["outputs"])},
    )


def _said(asked: Scoring, outputs: Mapping[str, Array], labels: Array) -> dict[str, Any]:
    choice, metric = asked.choice, asked.metric
    read = returned(outputs, choice, len(labels), "samples", finite=False)
    # One output alone may have another name in the artifact than in the float model.
    theirs = {choice.names[0]: next(iter(outputs))} if len(outputs) == len(choice.names) == 1 else {}

    def own(name: str) -> str:
        return theirs.get(name, name)

    quality = _quality(asked, choice.for_metric(read), labels)
    return {
        "file": SAMPLES_FILE,
        "count": len(labels),
        "outputs": list(outputs),
        "primary": own(choice.primary),
        "scored": [own(name) for name in choice.scored],
        "as_array": choice.as_array,
        "codes": {own(name): list(code) for name, code in choice.codes.items()},
        "quality": None if quality is None else asdict(quality),
        "metric": metric.name,
        "by": "built-in" if BUILT_IN.get(metric.name) == metric else "workload",
        "higher_is_better": metric.higher_is_better,
    }


def _quality(asked: Scoring, scored: Any, labels: Array) -> Quantity | None:
    """None where the metric says nothing of so few samples."""
    rows = [int(row) for row in asked.rows]
    name = digest_of((asked.digest, rows, asked.metric.digest))[:16]
    place = f"artifact in its runtime, {asked.backend}, on {len(rows)} samples"
    try:
        found = score(asked.metric, scored, labels, place=place, samples=name)
    except StageError:
        return None
    return replace(found, how=f"of the artifact's outputs for {len(rows)} samples, as recorded")
