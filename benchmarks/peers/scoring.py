"""The same score for every tool: its artifacts measured side by side and asked on the test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import REFERENCE, LatencyPlan
from paretune.backends.measure.summary import summarize
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.errors import ParetuneError
from paretune.profiles.quantity import Quantity
from paretune.search.ranking.pareto import front, hypervolume

POINTS_UNDER_TEACHER = 0.05
HIGHER = (True, False, False)
AT_ONCE = 12
"""So many artifacts are measured in the same rounds, each in a process of its own, with the teacher."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What a tool says of one artifact, on validation: accuracy (share), latency and size; and after how many
    seconds it was complete."""

    title: str
    backend: str
    file: Path
    accuracy: float
    latency_ms: float
    size_bytes: int
    finished_s: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Box:
    """The uncompressed teacher in fp32 on ONNX Runtime, by which everything is normalised."""

    file: Path
    accuracy: float
    size_bytes: int

    @property
    def floor(self) -> float:
        return self.accuracy - POINTS_UNDER_TEACHER

    def volume(self, points: Sequence[tuple[float, float, float]]) -> float:
        """Share of the box that the points (accuracy, latency and size over the teacher's) dominate."""
        return hypervolume(points, (self.floor, 1.0, 1.0), HIGHER) / (1.0 - self.floor)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One artifact as the harness found it: the rows of the test split that it gets wrong, of so many;
    latency and size over the teacher's."""

    wrong: tuple[int, ...]
    rows: int
    latency_ms: float
    latency_ratio: float
    size_ratio: float
    verdict: str

    @property
    def accuracy(self) -> float:
        return 1 - len(self.wrong) / self.rows

    @property
    def costs(self) -> tuple[float, float]:
        return self.latency_ratio, self.size_ratio


@dataclass(kw_only=True)
class Scored:
    """What the harness found of candidates, by their place in the list; `failures` are those that did not
    run."""

    points: dict[int, Point] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    teacher_ms: float = 0.0


def own_front(candidates: Sequence[Candidate]) -> list[int]:
    """What a user would ship: the places of the candidates that none other beats by the tool's own validation
    numbers. Of candidates with equal numbers the first stays."""
    first: dict[tuple[float, ...], int] = {}
    for place, candidate in enumerate(candidates):
        first.setdefault((candidate.accuracy, candidate.latency_ms, candidate.size_bytes), place)
    points = [[Quantity(value=value) for value in values] for values in first]
    return [list(first.values())[place] for place in front(points, HIGHER)]


def score(candidates: Sequence[Candidate], box: Box, test: Any, seed: int) -> Scored:
    """Answers on test in the artifact's own runtime at batch 1; latency interleaved with the teacher, one
    thread; size of the file."""
    found = Scored()
    for start in range(0, len(candidates), AT_ONCE):
        part = dict(list(enumerate(candidates))[start : start + AT_ONCE])
        _score_part(part, box, test, seed, found)
    return found


def _score_part(part: Mapping[int, Candidate], box: Box, test: Any, seed: int, found: Scored) -> None:
    with ExitStack() as stack:
        reference, _ = _opened(stack, "ort", box.file, test)
        runners, right = {}, {}
        for place, candidate in part.items():
            try:
                runner, infer = _opened(stack, candidate.backend, candidate.file, test)
                right[place] = infer().argmax(axis=-1) == test.labels
                runners[str(place)] = runner
            except (ParetuneError, OSError) as error:
                found.failures[place] = f"{candidate.title}: {error}"[:500]
        if not runners:
            return
        rounds = measure(runners, reference, LatencyPlan(seed=seed))
    found.teacher_ms = summarize(rounds, REFERENCE).latency_ms.value
    for name, parts in rounds.failed.items():
        found.failures[int(name)] = f"{part[int(name)].title}: {parts[1]}"
    for name in runners:
        if name not in rounds.failed:
            place, summary = int(name), summarize(rounds, name)
            found.points[place] = Point(
                wrong=tuple(map(int, np.flatnonzero(~right[place]))),
                rows=len(test.labels),
                latency_ms=summary.latency_ms.value,
                latency_ratio=summary.ratio.value,
                size_ratio=part[place].file.stat().st_size / box.size_bytes,
                verdict=summary.verdict,
            )


def answers(backend: str, file: Path, split: Any) -> Any:
    """Which rows of a split an artifact gets right at batch 1."""
    with ExitStack() as stack:
        _, infer = _opened(stack, backend, file, split)
        return infer().argmax(axis=-1) == split.labels


def _opened(stack: ExitStack, backend: str, file: Path, split: Any) -> tuple[RunnerClient, Callable[[], Any]]:
    """A runner that holds the artifact, ready to be sampled, and a function that gives its logits. The
    values are fed as the artifact takes them: of some tools' exports token numbers have 32 bits."""
    runner = stack.enter_context(RunnerClient(LocalLaunch(), pinned=True))
    opened = runner.open(backend, file, 1, 1)
    named = zip(opened.inputs, split.inputs.values(), strict=True)
    feed = {one.name: np.asarray(values).astype(one.dtype) for one, values in named}
    runner.prepare({name: values[:1] for name, values in feed.items()})
    output = opened.outputs[0].name
    return runner, lambda: runner.infer(feed)[output]


def told(candidate: Candidate, point: Point) -> dict[str, Any]:
    """One line of the figures."""
    numbers = {name: value for name, value in asdict(point).items() if name not in ("wrong", "rows")}
    return {**asdict(candidate), "file": str(candidate.file), "test_accuracy": point.accuracy, **numbers}
