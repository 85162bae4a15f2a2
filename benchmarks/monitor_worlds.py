"""Made-up models and the data that they are asked for, still and drifting: what `paretune monitor check` is
tried on where the truth is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from paretune.profiles.precision import Precision
from paretune.profiles.quantity import Quantity
from paretune.search.bundles.bundle import Bundle
from paretune.search.checks.tolerances import Tolerances
from paretune.search.monitor.baseline import plan_text
from paretune.search.monitor.check import noticed
from paretune.search.monitor.finding import settled
from paretune.search.monitor.ledger import Inference, Ledger
from paretune.search.monitor.said import PlanSaid, read_plan, total
from paretune.search.monitor.tally import Tally
from paretune.search.record.checks import MetricCheck

Array = NDArray[Any]
Rng = np.random.Generator
BATCH, LATENCY_MS, LATENCY_SD = 8, 1.0, 0.15


@dataclass(frozen=True)
class Asked:
    """So many samples: inputs by name, what the model answers, and what would have been right."""

    inputs: dict[str, Array]
    outputs: dict[str, Array]
    targets: Array


@dataclass(frozen=True)
class World:
    """Where samples come from. `drifts` change how they are drawn, each by a known amount."""

    name: str
    metric: str
    draw: Callable[..., Asked]
    primary: str = "y"
    drifts: dict[str, dict[str, Any]] = field(default_factory=dict)


def _scores(targets: Array, classes: int, rng: Rng, sure: Array | float = 2.5) -> Array:
    scores = rng.normal(size=(len(targets), classes))
    scores[np.arange(len(targets)), targets] += sure
    return scores.astype(np.float32)


def images(count: int, rng: Rng, bright: float = 1.0, first: float = 1.0, confused: float = 0.0) -> Asked:
    """Pictures of 10 classes. `bright`: factor on all; `first`: how much more often class 0 comes;
    `confused`: share of class 3 that is answered at random."""
    weights = np.r_[first, np.ones(9)]
    targets = rng.choice(10, count, p=weights / weights.sum())
    light = rng.normal(0.45, 0.08, size=(count, 1, 1, 1))
    pictures = light + rng.normal(0, 0.2, size=(count, 3, 16, 16)) + 0.02 * targets[:, None, None, None]
    sure = np.where((targets == 3) & (rng.random(count) < confused), 0.0, 3.0)
    pictures = np.clip(bright * pictures, 0, 1).astype(np.float32)
    return Asked({"x": pictures}, {"y": _scores(targets, 10, rng, sure)}, targets)


def sensors(count: int, rng: Rng, dead: bool = False, factor: float = 1.0) -> Asked:
    """Twelve correlated sensors with heavy tails, one number to be told. `dead`: sensor 4 tells 0;
    `factor`: sensor 7 comes in another unit."""
    mixed = np.eye(12) + 0.3
    x = (rng.standard_t(4, size=(count, 12)) @ mixed).astype(np.float32)
    targets = x[:, :3].sum(axis=1, keepdims=True).astype(np.float32)
    if dead:
        x[:, 4] = 0
    x[:, 7] *= factor
    y = targets + 0.05 * x[:, 7:8] + 0.5 * rng.normal(size=(count, 1))
    return Asked({"x": x}, {"y": y.astype(np.float32)}, targets)


def texts(count: int, rng: Rng, other: float = 0.0) -> Asked:
    """Tokens, padded, of two classes. `other`: share of texts in a language that was not known."""
    lengths = rng.integers(8, 33, count)
    ids = np.minimum(rng.zipf(1.4, size=(count, 32)), 4000)
    ids = np.where(rng.random((count, 1)) < other, ids + 5000, ids)
    ids = np.where(np.arange(32) < lengths[:, None], ids, 0).astype(np.int64)
    targets = rng.integers(0, 2, count)
    inputs = {"ids": ids, "mask": (ids > 0).astype(np.int64)}
    return Asked(inputs, {"y": _scores(targets, 2, rng)}, targets)


def roads(count: int, rng: Rng, fog: float = 0.0) -> Asked:
    """Pictures with a class for each of 12 x 12 pixels. `fog`: share of pictures whose far part is sky."""
    targets = (np.arange(12)[:, None] + rng.integers(0, 6, size=(count, 1, 1)) > 10).astype(np.int64)
    targets = np.broadcast_to(targets, (count, 12, 12)).copy()
    targets[rng.random(count) < 0.3, 8:, 5:9] = 2
    shown = targets.copy()
    shown[rng.random(count) < fog, :9] = 0
    scores = rng.normal(size=(count, 3, 12, 12)) + 3.0 * (shown[:, None] == np.arange(3)[:, None, None])
    pictures = shown[:, None] * 0.2 + rng.normal(0.3, 0.1, size=(count, 1, 12, 12))
    return Asked({"x": pictures.astype(np.float32)}, {"y": scores.astype(np.float32)}, targets)


WORLDS = (
    World(
        "images",
        "accuracy",
        images,
        drifts={
            "brightness x1.2": {"bright": 1.2},
            "class 0 five times as often": {"first": 5.0},
            "class 3 right half as often": {"confused": 0.55},
        },
    ),
    World(
        "sensors", "rmse", sensors, drifts={"one sensor dead": {"dead": True}, "unit x1000": {"factor": 1e3}}
    ),
    World("texts", "accuracy", texts, drifts={"another language in 20 %": {"other": 0.2}}),
    World("roads", "miou", roads, drifts={"fog in 50 %": {"fog": 0.5}}),
)


@dataclass
class Deployed:
    """A bundle of a world, exported with so many known samples, and what is recorded of it."""

    world: World
    known: int
    rng: Rng
    folder: Path

    def __post_init__(self) -> None:
        asked = self.world.draw(self.known, self.rng)
        text = plan_text(
            asked.inputs,
            asked.outputs,
            asked.targets,
            metric=self.world.metric,
            primary=self.world.primary,
            split="test",
            batch=BATCH,
        )
        (self.folder / "monitor.json").write_text(text)
        self.plan: PlanSaid = read_plan(self.folder)
        self.ledger = Ledger(json.loads(text), {}, str(self.folder / "log"), 1e9)
        times = np.exp(self.rng.normal(0, LATENCY_SD, 201)) * LATENCY_MS
        low, middle, high = np.sort(times)[[86, 100, 114]]
        latency = Quantity(value=float(middle), low=float(low), high=float(high))
        self.bundle = _bundle(self.folder, self.world.metric, latency)

    def asked(self, count: int, slow: float = 1.0, labels: bool = True, **drift: Any) -> Tally:
        """What a ledger has after so many more samples."""
        self.ledger.tally = self.ledger._empty()
        asked = self.world.draw(count, self.rng, **drift)
        seconds = 1e-3 * LATENCY_MS * slow * np.exp(self.rng.normal(0, LATENCY_SD, count))
        items: list[Any] = []
        sides = [
            asked.inputs[t.name] if t.side == "inputs" else asked.outputs[t.name] for t in self.ledger.tensors
        ]
        for at in range(0, count - BATCH + 1, BATCH):
            rows = slice(at, at + BATCH)
            taken = [t.taken(a[rows]) for t, a in zip(self.ledger.tensors, sides, strict=True)]
            items.append(
                Inference(taken, True, BATCH, float(seconds[at]), range(at, at + BATCH) if labels else None)
            )
            if labels:
                items += [(row, asked.targets[row], None) for row in range(at, at + BATCH)]
        self.ledger.count(items)
        return self.ledger.tally

    def checked(self, tallies: list[Tally]) -> tuple[MetricCheck, ...]:
        """The checks of what was recorded."""
        found = noticed(self.bundle, self.plan, total(tallies), Tolerances())
        return tuple(check for _, check in settled(found))


def _bundle(folder: Path, metric: str, latency: Quantity) -> Bundle:
    nothing = ("paretune", "ended", "title", "digest", "backend", "artifact_key", "metric_by")
    counts = {"version": 2, "trial": 0, "batch": BATCH, "threads": 1}
    return Bundle(
        **dict.fromkeys(nothing, ""),
        **counts,
        **{name: {} for name in ("options", "compiled_with", "versions", "environment", "files")},
        folder=folder,
        study="made up",
        profile="host",
        estimated=False,
        precision=Precision.FP32,
        artifact=folder,
        inputs=(),
        outputs=(),
        quality=metric,
        split="test",
        higher_is_better=True,
        metrics={"latency_ms": latency},
        sample=None,
        expected=None,
    )
