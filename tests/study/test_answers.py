"""What the command answers: exit codes, the verdict last, other questions to a finished study."""

import json
import sys

import pytest
from paretune.cli import main
from paretune.search.driver.budget import Budget, StopFlag
from paretune.search.run.session import run_study
from study.misbehaving import MISBEHAVING

pytestmark = pytest.mark.slow


@pytest.fixture
def command(capsys, monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["paretune", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        return ended.value.code, captured.out

    return run


def test_limits_met_is_exit_code_0_and_the_verdict_comes_last(bench, shared_store, command):
    study = bench.study(
        store=shared_store, constraints=["accuracy >= 50 %"], budget={"trials": 3}, finalists=1
    )
    code, out = command("run", study)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("report: ")
    assert lines[1].startswith("bundle: ")
    assert lines[2].startswith("Ship #")
    again, listed = command("report", study)
    assert again == 0
    assert {line.rsplit("/", 1)[-1] for line in listed.splitlines()} == {
        "report.html",
        "report.md",
        "trials.csv",
        "report.json",
    }


def test_limits_that_nothing_meets_is_exit_code_2_with_the_nearest(bench, shared_store, command):
    study = bench.study(store=shared_store, constraints=["size <= 10 B"], budget={"trials": 3})
    code, out = command("run", study)
    assert code == 2
    assert "No candidate meets every limit. The nearest is" in out
    assert "size" in out


def test_nothing_usable_is_exit_code_1_when_the_teacher_itself_cannot_run(bench, command, monkeypatch):
    monkeypatch.setenv("TOY_SCRIPT", json.dumps({"fp32/open": "segfault"}))
    code, _ = command("run", bench.study(space=MISBEHAVING))
    assert code == 1


def test_choose_answers_other_limits_and_preferences(bench, shared_store, command):
    study = bench.study(store=shared_store, finalists=1)
    command("run", study)
    code, out = command("choose", study, "--where", "parameters <= 200", "--prefer", "size=5")
    assert code == 0
    assert "parameters <= 200" in out
    code, out = command("choose", study, "--where", "accuracy >= 99.99 %", "--where", "size <= 300 B")
    assert code == 2


def test_explain_and_export(bench, shared_store, command):
    space = {"student": {"width": [4]}, "precision": ["fp32"], "backend": ["ort"]}
    study = bench.study(store=shared_store, space=space, budget={"trials": 1}, finalists=1)
    command("run", study)
    code, out = command("explain", study, 0)
    assert code == 0
    assert "# Trial 0" in out
    code, out = command("export", study, 0, "--output", bench.root / "bundle")
    assert code == 0
    manifest = json.loads((bench.root / "bundle" / "manifest.json").read_text())
    assert manifest["configuration"]["backend"] == "ort"


def test_init_writes_a_file_that_can_be_planned(bench, command, monkeypatch):
    monkeypatch.chdir(bench.root)
    assert command("init", "--workload", "blobs.py", "-o", "mine.yaml")[0] == 0
    code, out = command("plan", "mine.yaml")
    assert code == 0
    assert "nothing was trained, compiled or measured" in out
    assert "task: classification" in out
    assert not (bench.root / ".paretune").exists()
    assert command("init", "-o", "mine.yaml")[0] == 1


def test_plan_shows_what_a_device_masks_and_why(bench, command):
    text = bench.study(space={"backend": ["ort", "trt"]})
    code, out = command("plan", text, "--profile", "nvidia-t4")
    assert code == 0
    assert "2:4 sparsity: needs NVIDIA sm_80 or later" in out


def test_a_budget_of_time_is_honoured_within_a_stage(bench, shared_store):
    endless = {"epochs": 1_000_000, "learning_rate": 0.01, "batch": 16}  # whatever the machine's speed
    study = bench.study(
        store=shared_store, training=endless, gate={"during_training": False}, budget={"time": "5 s"}
    )
    record = run_study(study).record
    assert "the budget of 5 s" in record.stopped
    assert record.counters["candidates"] < record.counters["space"]
    assert record.finalists


def test_budget_counts_what_earlier_sessions_used():
    now = [100.0]
    budget = Budget(trials=5, seconds=60, clock=lambda: now[0])
    budget.start(spent_seconds=50)
    assert budget.exhausted(4) == ""
    now[0] += 11
    assert "60 s" in budget.exhausted(4)
    assert "5 trials" in Budget(trials=5, seconds=None).exhausted(5)


def test_the_second_interrupt_is_urgent():
    flag = StopFlag()
    flag.request()
    assert flag.requested
    assert not flag.urgent
    flag.request()
    assert flag.urgent


def test_version_and_help(command):
    assert command("--version")[1].startswith("paretune ")
    assert "devices" in command("--help")[1]
    assert "TensorRT" in command("backends")[1] or "trt" in command("backends")[1]
