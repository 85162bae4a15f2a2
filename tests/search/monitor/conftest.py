"""A bundle's plan and module as they are exported, of a made-up classifier."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from bundle_folders import write_bundle
from paretune.search.monitor.baseline import plan_text
from paretune.search.monitor.module import module_source

WEIGHTS = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)


def asked(count: int, seed: int, factor: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs, answers and targets of so many samples; `factor` is on the third of six numbers."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 3, count)
    x = (2 * WEIGHTS[:, targets].T + rng.normal(size=(count, 6))).astype(np.float32)
    x[:, 2] *= factor
    return x, x @ WEIGHTS, targets


@dataclass
class Shipped:
    """A bundle's folder, and its module."""

    folder: Path
    module: ModuleType

    def monitor(self, log: Path, **options: float):
        return self.module.Monitor.beside(
            self.folder, log=log, **{"flush_seconds": 1e9, "share": 1e9, **options}
        )

    def used(self, log: Path, count: int, seed: int, factor: float = 1.0, slow: float = 1.0, wrong: int = -1):
        """Ask it; answers to targets of the class `wrong` are another class."""
        monitor = self.monitor(log)
        x, y, targets = asked(count, seed, factor)
        y[targets == wrong] = np.eye(3, dtype=np.float32)[(wrong + 1) % 3]
        times = 1e-3 * slow * np.exp(np.random.default_rng(seed).normal(0, 0.1, count))
        for at in range(count):
            monitor.record({"x": x[at : at + 1]}, {"y": y[at : at + 1]}, times[at], id=at)
            monitor.label(at, targets[at])
            if at % 200 == 199:
                monitor.flush()
        monitor.close()
        assert monitor.trouble == ""


@pytest.fixture(scope="session")
def shipped(tmp_path_factory) -> Shipped:
    folder = tmp_path_factory.mktemp("shipped")
    x, y, targets = asked(500, 0)
    write_bundle(
        folder,
        quality={"metric": "accuracy", "split": "test"},
        metrics={
            "accuracy": {"value": 0.9, "low": 0.87, "high": 0.93},
            "latency_ms": {"value": 1.0, "low": 0.98, "high": 1.02},
        },
        environment={},
        batch=1,
    )
    text = plan_text({"x": x}, {"y": y}, targets, metric="accuracy", primary="y", split="test", batch=1)
    (folder / "monitor.json").write_text(text)
    (folder / "monitor.py").write_text(module_source())
    spec = importlib.util.spec_from_file_location("shipped_monitor", folder / "monitor.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Shipped(folder, module)
