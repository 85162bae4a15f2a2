"""The same score for every tool: its front, re-measured side by side and scored on the test split."""

from __future__ import annotations

from collections.abc import Sequence
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
RESAMPLES = 400


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What a tool says of one artifact, on validation: accuracy (share), latency and size."""

    title: str
    backend: str
    file: Path
    accuracy: float
    latency_ms: float
    size_bytes: int


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
class Score:
    """Hypervolume on test with its 95 % interval, the scored points, and the artifacts that did not run.

    The interval is that of the test images alone (bootstrap): another draw of as many images.
    """

    hypervolume: float
    teacher_ms: float
    interval: tuple[float, float] = (0.0, 0.0)
    points: list[dict[str, Any]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def own_front(candidates: Sequence[Candidate]) -> list[Candidate]:
    """What a user would ship: the candidates that none other beats by the tool's own validation numbers.

    Of candidates with equal numbers the first stays.
    """
    first: dict[tuple[float, ...], Candidate] = {}
    for candidate in candidates:
        first.setdefault((candidate.accuracy, candidate.latency_ms, candidate.size_bytes), candidate)
    points = [[Quantity(value=value) for value in values] for values in first]
    return [list(first.values())[place] for place in front(points, HIGHER)]


def score(candidates: Sequence[Candidate], box: Box, images: Any, labels: Any, seed: int) -> Score:
    """Accuracy on test in the artifact's own runtime at batch 1; latency of all of them interleaved with the
    teacher, one thread; size of the file.
    """
    right: dict[str, Any] = {}  # which test images each of them tells
    failures: list[str] = []
    with ExitStack() as stack:
        reference, _ = _opened(stack, "ort", box.file, images)
        subjects = {}
        for number, candidate in enumerate(candidates):
            try:
                runner, infer = _opened(stack, candidate.backend, candidate.file, images)
                right[str(number)] = infer(images).argmax(axis=-1) == labels
                subjects[str(number)] = runner
            except (ParetuneError, OSError) as error:
                failures.append(f"{candidate.title}: {error}"[:500])
        if not subjects:
            return Score(hypervolume=0.0, teacher_ms=0.0, failures=failures)
        rounds = measure(subjects, reference, LatencyPlan(seed=seed))
    failures += [f"{candidates[int(name)].title}: {parts[1]}" for name, parts in rounds.failed.items()]
    names = [name for name in subjects if name not in rounds.failed]
    summaries = {name: summarize(rounds, name) for name in names}
    points = [_point(candidates[int(n)], float(right[n].mean()), summaries[n], box) for n in names]
    costs = [(point["latency_ratio"], point["size_ratio"]) for point in points]
    triples = [(p["test_accuracy"], *cost) for p, cost in zip(points, costs, strict=True)]
    return Score(
        hypervolume=box.volume(triples),
        teacher_ms=summarize(rounds, REFERENCE).latency_ms.value,
        interval=volume_interval(box, [right[name] for name in names], costs, seed),
        points=points,
        failures=failures,
    )


def volume_interval(
    box: Box, right: Sequence[Any], costs: Sequence[tuple[float, float]], seed: int
) -> tuple[float, float]:
    """95 % interval of the volume over draws of the test images, the same images for all points.

    `right` has, per point, which images it tells; `costs` its latency and size over the teacher's.
    """
    if not right:
        return 0.0, 0.0
    rng, table = np.random.default_rng(seed), np.stack(right)
    volumes = []
    for _ in range(RESAMPLES):
        drawn = table[:, rng.integers(0, table.shape[1], table.shape[1])].mean(axis=1)
        volumes.append(box.volume([(float(a), *cost) for a, cost in zip(drawn, costs, strict=True)]))
    low, high = np.quantile(volumes, (0.025, 0.975))
    return float(low), float(high)


def accuracy_of(backend: str, file: Path, images: Any, labels: Any) -> float:
    """Share of right answers of one artifact at batch 1."""
    with ExitStack() as stack:
        _, infer = _opened(stack, backend, file, images)
        return float(np.mean(infer(images).argmax(axis=-1) == labels))


def _opened(stack: ExitStack, backend: str, file: Path, images: Any) -> tuple[RunnerClient, Any]:
    """A runner that holds the artifact, ready to be sampled, and a function from images to logits."""
    runner = stack.enter_context(RunnerClient(LocalLaunch(), pinned=True))
    opened = runner.open(backend, file, 1, 1)
    name, output = opened.inputs[0].name, opened.outputs[0].name
    runner.prepare({name: images[:1]})
    return runner, lambda data: runner.infer({name: data})[output]


def _point(candidate: Candidate, accuracy: float, summary: Any, box: Box) -> dict[str, Any]:
    return {
        **asdict(candidate),
        "file": str(candidate.file),
        "test_accuracy": accuracy,
        "test_latency_ms": summary.latency_ms.value,
        "latency_ratio": summary.ratio.value,
        "size_ratio": candidate.file.stat().st_size / box.size_bytes,
        "verdict": summary.verdict,
    }
