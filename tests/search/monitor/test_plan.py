"""What is recorded of models of all kinds, and that it is like what the bundle was exported with."""

import json

import numpy as np
import pytest
from bundle_folders import write_bundle
from paretune.search.bundles.bundle import read_bundle
from paretune.search.checks.tolerances import Tolerances
from paretune.search.monitor.baseline import plan_text
from paretune.search.monitor.check import noticed
from paretune.search.monitor.finding import settled
from paretune.search.monitor.ledger import Inference, Ledger
from paretune.search.monitor.said import read_plan
from paretune.search.record.checks import CheckOutcome

COUNT = 160
RNG = np.random.default_rng(0)


def numbers(*shape: int) -> np.ndarray:
    return RNG.normal(size=(COUNT, *shape)).astype(np.float32)


def classes(many: int, *shape: int) -> np.ndarray:
    return RNG.integers(0, many, (COUNT, *shape))


FIVE, FOUR = numbers(5), numbers(4)
KINDS = {
    "classes": ({"x": FIVE}, {"y": FOUR}, classes(4), "accuracy", {"y answer", "y confidence", "x[0]"}),
    "pictures": (
        {"x": numbers(3, 12, 12)},
        {"y": FOUR},
        classes(4),
        "f1_macro",
        {"x mean", "x spread", "x channel 0", "x channel 2"},
    ),
    "codes": (
        {"x": classes(256, 12, 12, 3).astype(np.uint8)},
        {"y": classes(256, 4).astype(np.int8)},
        classes(4),
        "accuracy",
        {"x channel 2"},
    ),
    "tokens": ({"ids": classes(50, 20)}, {"y": numbers(2)}, classes(2), "accuracy", {"ids unknown"}),
    "regression": ({"x": FIVE}, {"y": numbers(2)}, numbers(2), "rmse", {"y[0]", "y[1]"}),
    "one number": ({"x": numbers()}, {"y": numbers(1)}, numbers(), "mae", {"x", "y"}),
    "segmentation": (
        {"x": numbers(1, 9, 9)},
        {"y": numbers(3, 9, 9)},
        classes(3, 9, 9),
        "miou",
        {"y confidence", "y class 0"},
    ),
    "labels": ({"x": FIVE}, {"y": FOUR}, classes(2, 4), "auc", {"y[3]"}),
    "detection": (
        {"x": numbers(3, 9, 9)},
        {"boxes": numbers(20, 4), "scores": numbers(20)},
        None,
        "map50",
        {"scores[0]"},
    ),
    "embedding": ({"x": FIVE}, {"y": numbers(128)}, classes(3), "mine", {"y mean"}),
    "huge": ({"x": 1e300 * numbers(5).astype(float)}, {"y": FOUR}, classes(4), "accuracy", {"x[0]"}),
    "nothing finite": ({"x": np.nan * numbers(5)}, {"y": FOUR}, classes(4), "accuracy", {"x[0]"}),
    "one constant": ({"x": 0 * numbers(5)}, {"y": FOUR}, classes(4), "accuracy", {"x[0]"}),
    "several": (
        {"a": numbers(5), "b": numbers(3, 9, 9)},
        {"y": numbers(4), "z": numbers(2)},
        classes(4),
        "accuracy",
        {"a[0]", "b mean", "y answer", "z[1]"},
    ),
    "answers": ({"x": FIVE}, {"y": classes(4)}, classes(4), "accuracy", {"y"}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_samples_are_calm(kind, tmp_path):
    inputs, outputs, targets, metric, series = KINDS[kind]
    text = plan_text(
        inputs, outputs, targets, metric=metric, primary=next(iter(outputs)), split="test", batch=4
    )
    (write_bundle(tmp_path, quality={"metric": metric, "split": "test"}) / "monitor.json").write_text(text)
    plan = read_plan(tmp_path)
    assert series <= {one.name for one in plan.series}
    ledger = Ledger(json.loads(text), {}, str(tmp_path / "log"), 1e9)
    arrays = [{**inputs, **outputs}[tensor.name] for tensor in ledger.tensors]
    items = []
    for at in range(0, COUNT, 4):
        taken = [t.taken(a[at : at + 4]) for t, a in zip(ledger.tensors, arrays, strict=True)]
        items.append(Inference(taken, True, 4, 1e-3, range(at, at + 4)))
        items += [(row, targets[row], None) for row in range(at, at + 4) if targets is not None]
    ledger.count(items)
    found = settled(noticed(read_bundle(tmp_path), plan, ledger.tally, Tolerances()))
    bad = [check for _, check in found if check.outcome in (CheckOutcome.FAILED, CheckOutcome.WARNING)]
    assert bad == []
    checks = [one for _, one in found if one.metric != "latency_ms"]
    told = [(one.expected.value, one.found.value) for one in checks if one.expected and one.found]
    assert (len(told) > 0) == (kind not in ("detection", "embedding"))
    assert all(then == pytest.approx(now) for then, now in told)


def test_lengths_that_vary(tmp_path):
    ids = classes(50, 20)
    shapes = {"ids": (1, -1), "y": (1, -1, 8)}
    text = plan_text(
        {"ids": ids},
        {"y": numbers(20, 8)},
        None,
        metric="perplexity",
        primary="y",
        split="test",
        batch=1,
        shapes=shapes,
    )
    ledger = Ledger(json.loads(text), {}, str(tmp_path / "log"), 1e9)
    for length in (1, 7, 20, 900):
        taken = [
            ledger.tensors[0].taken(np.full((1, length), 3)),
            ledger.tensors[1].taken(np.zeros((1, length, 8), np.float32)),
        ]
        ledger.count([Inference(taken, True, 1, 1e-3, None)])
    assert ledger.tally.counts.sum() == 4 * len(json.loads(text)["series"])
