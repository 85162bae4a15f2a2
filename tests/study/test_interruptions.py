"""Closed terminals, Ctrl-C, kills and crashes of runners, each for real in child processes."""

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time

import psutil
import pytest
from paretune.reports.pages.write import is_report_of
from paretune.search.record.evaluation import Outcome
from paretune.search.run.session import run_study
from paretune.search.run.stored import open_run
from study.conftest import TESTS
from study.misbehaving import BACKEND, MISBEHAVING

pytestmark = pytest.mark.slow


def wait_for(condition, seconds=500):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("waited in vain")


def entries(bench, stage):
    folder = bench.root / ".paretune" / "store" / stage
    return {p.name for p in folder.iterdir()} if folder.is_dir() else set()


def test_a_closed_terminal_and_ctrl_c_keep_everything_and_without_streams_the_study_ends(bench):
    study = bench.study(budget={"trials": 4}, finalists=1)
    process, master = in_terminal(bench, "run", study)
    wait_for(lambda: os.read(master, 2**16) and len(entries(bench, "score")) >= 1)
    os.close(master)  # the kernel sends SIGHUP, and every further write fails
    assert process.wait(500) == 130
    scored, done = stopped(bench, study)

    process = bench.command("run", study)
    wait_for(lambda: len(entries(bench, "score")) > len(scored))
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=500)
    assert process.returncode == 130, err
    assert "stopping after the stage at hand" in err
    assert "Traceback" not in err
    more_scored, more_done = stopped(bench, study)
    assert (more_scored > scored, more_done >= done) == (True, True)

    assert bench.command("run", study, preexec=lambda: os.closerange(0, 3)).wait(500) == 0
    record, run_dir = open_run(study)
    assert {t.evaluation.candidate.digest for t in record.trials} >= more_done
    assert record.counters["complete"] == 4
    assert entries(bench, "score") >= more_scored
    assert is_report_of(record, run_dir / "report")


def in_terminal(bench, *arguments):
    """A command that a new terminal runs, and the terminal's other end."""
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "paretune.cli", *arguments],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": TESTS},
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(slave)
    return process, master


def stopped(bench, study):
    """What a stopped run left: the scores in the store, and the candidates told; its report is there."""
    record, run_dir = open_run(study)
    assert record.stopped == "interrupted"
    assert is_report_of(record, run_dir / "report")
    return entries(bench, "score"), {t.evaluation.candidate.digest for t in record.trials}


def test_the_runner_dies_with_the_driver(bench):
    process = bench.command(
        "run", bench.study(space=MISBEHAVING), TOY_SCRIPT=json.dumps({"int8/compile": "hang"})
    )
    running = psutil.Process(process.pid)
    wait_for(lambda: len(entries(bench, "compile")) >= 1 and running.children())
    started = running.children()
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(started, timeout=300)
    assert not alive


@pytest.mark.parametrize(
    "ends",
    [
        {"int8": ("compile", "segfault", "signal 11"), "int4-weight": ("run", "abort", "signal 6")},
        {"int8": ("run", "oom", "memory"), "int4-weight": ("run", "exit", "SystemExit: 0")},
        {"int8": ("compile", "hang", "no answer")},
    ],
    ids=lambda ends: "-".join(behaviour for _, behaviour, _ in ends.values()),
)
def test_a_crash_is_one_failed_evaluation_and_the_study_goes_on(bench, shared_store, monkeypatch, ends):
    script = {f"{precision}/{stage}": behaviour for precision, (stage, behaviour, _) in ends.items()}
    monkeypatch.setenv("TOY_SCRIPT", json.dumps(script))
    space = {"student": {"width": [4]}, "precision": ["fp32", *ends], "backend": [BACKEND]}
    limit = "10 s" if "hang" in script.values() else "60 s"
    guard = {"compile": limit, "run": limit, "memory": "1 GB"}
    budget = {"trials": 1 + len(space["precision"])}
    record = run_study(bench.study(space=space, guard=guard, budget=budget)).record
    by_precision = {}
    for trial in record.trials:
        if trial.duplicate_of is None:
            by_precision.setdefault(str(trial.evaluation.candidate.precision), []).append(trial.evaluation)
    assert {e.outcome for e in by_precision.pop("fp32")} == {Outcome.COMPLETE}
    assert set(by_precision) == set(ends)
    for precision, evaluations in by_precision.items():
        for evaluation in evaluations:
            assert evaluation.outcome is Outcome.FAILED
            assert ends[precision][-1] in f"{evaluation.cause} {evaluation.log}"
            assert evaluation.stage
    assert record.finalists


def test_what_a_backend_refuses_is_refused(bench, shared_store, monkeypatch):
    monkeypatch.setenv("TOY_SCRIPT", json.dumps({"int8/compile": "refuse"}))
    record = run_study(bench.study("refused", space=MISBEHAVING, budget={"trials": 3})).record
    refused = [t.evaluation for t in record.trials if t.evaluation.outcome is Outcome.REFUSED]
    assert refused
    assert all(e.reason and not e.cause for e in refused)


def test_two_processes_cannot_run_one_study(bench):
    study = bench.study(space=MISBEHAVING, budget={"trials": 8})
    first = bench.command("run", study, TOY_SCRIPT=json.dumps({"int8/compile": "hang"}))
    wait_for(lambda: len(entries(bench, "measure")) >= 1)
    second = bench.run("run", study)
    first.kill()
    first.wait()
    assert second.returncode == 1
    assert "being run by another process" in second.stderr
    assert str(first.pid) in second.stderr


def test_a_third_ctrl_c_stops_even_the_users_own_training(bench):
    text = (bench.root / "blobs.py").read_text()
    endless = text.replace("for _ in range(60):", "print('training', flush=True)\n    while True:")
    (bench.root / "blobs.py").write_text(endless)
    process = bench.command("run", bench.study())
    assert process.stdout.readline() == "training\n"
    for _ in range(3):
        os.kill(process.pid, signal.SIGINT)
        time.sleep(0.3)  # signals that wait are delivered as one
    _, err = process.communicate(timeout=500)
    assert process.returncode == 130
    assert "stopping at once" in err
    assert "Traceback" not in err
