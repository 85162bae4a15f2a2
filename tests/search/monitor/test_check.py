"""`paretune monitor check` through the command: calm, warning or alarm, and what cannot be compared."""

import json

import numpy as np
import pytest
from bundle_folders import write_bundle
from paretune.profiles.errors import UserError
from paretune.search.monitor.check import monitor_check
from paretune.search.monitor.sequential import Scores, mean_rose, share_fell, share_interval
from paretune.search.record.checks import (
    INPUTS,
    PREDICTIONS,
    RANGE,
    WORST_CLASS,
    CheckOutcome,
)
from typer.testing import CliRunner

FAILED, WARNING = CheckOutcome.FAILED, CheckOutcome.WARNING


@pytest.fixture(scope="module")
def logs(shipped, tmp_path_factory):
    """Folder of logs: as before, in another unit, slower, one class lost, and with few samples."""
    folder = tmp_path_factory.mktemp("logs")
    shipped.used(folder / "calm", 1000, 1)
    shipped.used(folder / "unit", 300, 2, factor=1000.0)
    shipped.used(folder / "slow", 600, 3, slow=1.25)
    shipped.used(folder / "lost", 600, 4, wrong=2)
    shipped.used(folder / "few", 10, 5)
    return folder


def failed(checked) -> set[str]:
    return {one.metric for one in checked.having(FAILED)}


def test_calm(shipped, logs):
    checked = monitor_check(shipped.folder, [logs / "calm"])
    assert checked.exit_code == 0
    assert not checked.having(FAILED)
    assert not checked.having(WARNING)
    told = {one.metric for one in checked.checks}
    assert told == {INPUTS, PREDICTIONS, RANGE, "latency_ms", "accuracy", WORST_CLASS}


@pytest.mark.parametrize(
    ("log", "metrics"),
    [("unit", {INPUTS, RANGE}), ("slow", {"latency_ms"}), ("lost", {"accuracy", WORST_CLASS})],
)
def test_what_has_changed_is_named(shipped, logs, log, metrics):
    checked = monitor_check(shipped.folder, [logs / log])
    assert metrics <= failed(checked)
    assert log == "unit" or failed(checked) - {PREDICTIONS} == metrics
    assert {one.subject for one in checked.advice} == {one.subject for one in checked.having(FAILED)}


def test_which_number_and_which_class(shipped, logs):
    unit, lost = (monitor_check(shipped.folder, [logs / name]).having(FAILED) for name in ("unit", "lost"))
    (inputs,) = [one for one in unit if one.metric == INPUTS]
    assert "x[2]" in inputs.reason
    (worst,) = [one for one in lost if one.metric == WORST_CLASS]
    assert worst.subject == "class 2"
    assert worst.found.value == 0


def test_what_is_tolerated(shipped, logs):
    def failing(log: str, tolerance: str) -> set[str]:
        return failed(monitor_check(shipped.folder, [logs / log], tolerate=[tolerance]))

    assert not failing("slow", "latency 40 %")
    assert WORST_CLASS not in failing("lost", "worst_class 100 pt")


def test_few_samples_tell_nothing(shipped, logs):
    checked = monitor_check(shipped.folder, [logs / "few"])
    assert checked.exit_code == 0
    unclear = {one.metric for one in checked.having(CheckOutcome.INCONCLUSIVE)}
    assert {INPUTS, PREDICTIONS, "latency_ms", "accuracy"} <= unclear


def test_logs_of_all_processes_count_together(shipped, logs, tmp_path):
    for number, name in enumerate(("few", "few", "calm")):
        (tmp_path / f"all.log{f'.{number}' if number else ''}").write_bytes((logs / name).read_bytes())
    for asked in (tmp_path / "all.log", tmp_path):
        assert monitor_check(shipped.folder, [asked], whole=True).of.startswith("1020 samples")


def test_another_device_never_alarms_for_its_latency(shipped, logs, tmp_path):
    for name in ("manifest.json", "monitor.json", "model.onnx"):
        (tmp_path / name).write_bytes((shipped.folder / name).read_bytes())
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    (tmp_path / "manifest.json").write_text(json.dumps({**manifest, "environment": {"machine": "another"}}))
    checked = monitor_check(tmp_path, [logs / "slow"])
    assert not failed(checked)
    (latency,) = [one for one in checked.checks if one.metric == "latency_ms"]
    assert latency.outcome is WARNING
    assert "another device" in latency.reason


def test_the_command(shipped, logs, tmp_path, monkeypatch):
    from paretune.cli import app

    found = tmp_path / "found.json"
    monkeypatch.setenv("COLUMNS", "120")
    calm = CliRunner().invoke(app, ["monitor", "check", str(shipped.folder), str(logs / "calm")])
    assert calm.exit_code == 0
    assert "CALM" in calm.output
    lost = CliRunner().invoke(
        app, ["monitor", "check", str(shipped.folder), str(logs / "lost"), "--json", str(found)]
    )
    assert lost.exit_code == 2
    assert "ALARM" in lost.output
    assert json.loads(found.read_text())["exit_code"] == 2


@pytest.mark.parametrize(
    "case", ["no log", "no plan", "no bundle", "other bundle", "text", "empty", "bent plan", "folder"]
)
def test_what_cannot_be_compared_is_refused(shipped, logs, tmp_path, case):
    bundle, log = shipped.folder, logs / "calm"
    if case in ("no log", "folder"):
        log = tmp_path / "nothing" if case == "no log" else tmp_path
    elif case == "no plan":
        bundle = write_bundle(tmp_path / "old")
    elif case == "no bundle":
        bundle = tmp_path
    elif case in ("other bundle", "bent plan"):
        bundle = write_bundle(tmp_path / "other")
        text = (shipped.folder / "monitor.json").read_text()
        text = text + " " if case == "other bundle" else text.replace('"edges": [', '"edges": [9e9, ', 1)
        (bundle / "monitor.json").write_text(text)
    else:
        log = tmp_path / "log"
        log.write_text("mine\n" if case == "text" else "")
    with pytest.raises(UserError) as refused:
        monitor_check(bundle, [log])
    assert refused.value.place


def test_looking_again_and_again_raises_no_more_alarms_than_promised():
    rng, alarms = np.random.default_rng(0), 0
    for _ in range(100):
        before = Scores(500, float(rng.binomial(500, 0.9)), 0.0)
        right = np.cumsum(rng.random(600) < 0.9)
        looks = range(30, 600, 30)
        alarms += any(share_fell(before, Scores(at, float(right[at - 1]), 0.0), 0.0) < 0.05 for at in looks)
    assert alarms <= 100 * 0.05
    before = Scores(500, 450.0, 0.0)
    assert share_fell(before, Scores(400, 300.0, 0.0), 0.02) < 0.01
    assert share_interval(Scores(200, 150.0, 0.0)).low < 0.75 < share_interval(Scores(200, 150.0, 0.0)).high
    errors = rng.exponential(size=1000)
    one, more = (factor * errors for factor in (1, 1.5))
    then, now = (Scores(1000, float(x.sum()), float((x**2).sum())) for x in (one, more))
    assert mean_rose(then, then, 1.0) == 1
    assert mean_rose(then, now, 1.1) < 0.01
