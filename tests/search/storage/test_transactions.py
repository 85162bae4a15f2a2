"""Several writes in one transaction, and the log that a running study writes: kills, copies, readers."""

from __future__ import annotations

import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing, suppress
from pathlib import Path

import optuna
import pytest
from optuna.trial import Trial, TrialState
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.record.evaluation import Evaluation, Outcome, Quantity, TrialRecord
from paretune.search.storage import write_ahead
from paretune.search.storage.read_only import study_for_reading
from paretune.search.storage.study_store import StudyStore
from paretune.search.storage.url import StorageUrl


def url_in(directory: Path) -> StorageUrl:
    return StorageUrl.of_file(directory / "study.db")


def open_study(directory: Path) -> StudyStore:
    return StudyStore.create_or_resume(
        url=url_in(directory),
        name="s",
        problem={},
        objectives={"accuracy": True, "latency_ms": False},
        sampler=optuna.samplers.RandomSampler(seed=0),
    )


def suggest(trial: Trial) -> Candidate:
    student = tuple((name, trial.suggest_categorical(name, [1, 2, 3, 4])) for name in ("depth", "width"))
    return Candidate(backend="ort", precision=Precision.FP32, student=student)


def evaluated(candidate: Candidate) -> Evaluation:
    metrics = {"accuracy": Quantity(value=0.9), "latency_ms": Quantity(value=1.0)}
    violations = {"accuracy >= 0.8": -0.1, "latency <= 2 ms": -1.0}
    return Evaluation(candidate=candidate, outcome=Outcome.COMPLETE, metrics=metrics, violations=violations)


def one(store: StudyStore) -> TrialRecord:
    trial, candidate = store.ask(suggest)
    return store.tell(trial, evaluated(candidate), time.time())


HEAD = """
import importlib.util, os, sqlite3, sys, time
from pathlib import Path

spec = importlib.util.spec_from_file_location("parts", sys.argv[1])
parts = importlib.util.module_from_spec(spec)
spec.loader.exec_module(parts)
place = Path(sys.argv[2])

def die():
    os.kill(os.getpid(), 9)
"""


def child(directory: Path, code: str) -> subprocess.Popen[str]:
    """A process that runs code with the functions of this file."""
    return subprocess.Popen(
        [sys.executable, "-c", HEAD + textwrap.dedent(code), __file__, str(directory)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def killed(directory: Path, code: str) -> None:
    process = child(directory, code)
    _, err = process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, err


def state_of(directory: Path) -> dict[str, tuple[int, bytes]]:
    """Every file but the one in which SQLite's readers and writers tell each other where they are."""
    files = [p for p in sorted(directory.iterdir()) if not p.name.endswith("-shm")]
    return {p.name: (p.stat().st_mtime_ns, p.read_bytes()) for p in files}


def commits(directory: Path) -> int:
    """Those in the log: frames that end one (https://www.sqlite.org/fileformat2.html#walformat)."""
    log = (directory / "study.db-wal").read_bytes()
    page, salts = int.from_bytes(log[8:12], "big"), log[16:24]
    frames = [log[at : at + 24] for at in range(32, len(log), 24 + page)]
    return sum(frame[8:16] == salts and frame[4:8] != bytes(4) for frame in frames)


# -- one transaction ----------------------------------------------------------------------------------------


def test_a_trial_is_two_commits(tmp_path: Path) -> None:
    with closing(open_study(tmp_path)) as store:
        one(store)
        before = commits(tmp_path)
        one(store)
        assert commits(tmp_path) - before == 2
        with store.together():
            one(store)
            store.enqueue({"width": 1, "depth": 1})
            one(store)
        assert commits(tmp_path) - before == 3
        assert [t.state for t in store.study.trials] == [TrialState.COMPLETE] * 4


def test_what_was_written_in_a_block_is_read_in_it(tmp_path: Path) -> None:
    with closing(open_study(tmp_path)) as store, store.together():
        store.enqueue({"width": 3, "depth": 2})
        assert store.waiting_params() == [{"width": 3, "depth": 2}]
        trial, candidate = store.ask(suggest)
        assert dict(candidate.student) == {"width": 3, "depth": 2}
        assert store.waiting_params() == []
        trial.set_user_attr("x", 1)
        assert store.study.trials[0].user_attrs["x"] == 1
        trial.set_user_attr("x", 2)
        assert store.study.trials[0].user_attrs["x"] == 2


@pytest.mark.parametrize("moment", ["ask", "tell"])
def test_a_kill_in_a_block_leaves_nothing_of_it(tmp_path: Path, moment: str) -> None:
    code = """
    store = parts.open_study(place)
    parts.one(store)
    with store.together():
        {ask}
        with store.together():
            {tell}
        die()
    """
    ask, tell = "trial, candidate = store.ask(parts.suggest)", "store.set('x', 1)"
    if moment == "tell":
        code = code.replace("with store.together():\n        {ask}", "{ask}\n    with store.together():")
        tell = "store.tell(trial, parts.evaluated(candidate), 0.0)"
    killed(tmp_path, code.format(ask=ask, tell=tell))
    with closing(open_study(tmp_path)) as store:
        states = [trial.state for trial in store.study.trials]
        assert states == [TrialState.COMPLETE] + [TrialState.RUNNING] * (moment == "tell")
        assert "evaluation" not in store.study.trials[-1].user_attrs or moment == "ask"
        assert [record.number for record in store.records()] == [0]
        assert store.recover() == (moment == "tell")
        assert store.get("x") is None
        assert one(store).number == {"ask": 1, "tell": 2}[moment]


def test_an_exception_leaves_nothing_of_its_block(tmp_path: Path) -> None:
    def write_half() -> None:
        with store.together():
            store.set("x", 1)
            raise ValueError("in the middle")

    with closing(open_study(tmp_path)) as store:
        with pytest.raises(ValueError, match="in the middle"):
            write_half()
        assert store.get("x") is None
        store.set("x", 2)
        assert store.get("x") == 2


def test_a_block_of_which_a_part_was_lost_is_not_kept(tmp_path: Path) -> None:
    """Optuna rolls back what fails, and who called it may go on: the rest alone would be half a trial."""

    def go_on_after_a_failure() -> None:
        with store.together():
            store.set("x", 1)
            with suppress(ValueError):
                store.study.tell(12345, state=TrialState.FAIL)
            store.set("y", 2)

    with closing(open_study(tmp_path)) as store:
        with pytest.raises(KeyError, match="12345"):
            go_on_after_a_failure()
        assert (store.get("x"), store.get("y")) == (None, None)
        store.set("y", 3)
        assert store.get("y") == 3


# -- written ahead ------------------------------------------------------------------------------------------


def test_after_the_end_the_file_stands_alone(tmp_path: Path) -> None:
    with closing(open_study(tmp_path)) as store:
        assert write_ahead.in_use(tmp_path / "study.db")
        told = [one(store) for _ in range(3)]
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]
    assert not write_ahead.in_use(tmp_path / "study.db")
    elsewhere = tmp_path / "copy"
    elsewhere.mkdir()
    shutil.copy(tmp_path / "study.db", elsewhere)
    assert list(StudyStore.load(url_in(elsewhere), "s").records()) == told
    with closing(open_study(elsewhere)) as again:
        assert len(again.records()) == 3
        assert one(again).number == 3


def test_a_reader_at_the_end_does_not_fail_it(tmp_path: Path) -> None:
    store = open_study(tmp_path)
    one(store)
    with closing(sqlite3.connect(tmp_path / "study.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM trials").fetchone() == (1,)
        one(store)
        store.close()
        assert reader.execute("SELECT count(*) FROM trials").fetchone() == (1,)
    with closing(open_study(tmp_path)) as again:
        assert len(again.records()) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["study.db"]


def test_after_a_kill_everything_told_is_read_without_a_trace_and_resumed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    killed(
        run, "store = parts.open_study(place)\nfor _ in range(3): parts.one(store)\nstore.study.ask()\ndie()"
    )
    before = state_of(run)
    assert len(before["study.db-wal"][1]) > 0
    with study_for_reading(url_in(run), "s") as reading:
        assert [record.number for record in reading.records()] == [0, 1, 2]
    assert state_of(run) == before
    with closing(StudyStore.load(url_in(run), "s")) as loaded:  # what a report does
        assert len(loaded.records()) == 3
    with closing(open_study(run)) as resumed:
        assert resumed.recover() == 1
        assert one(resumed).number == 4
    assert [path.name for path in run.iterdir()] == ["study.db"]


def test_a_study_from_before_is_resumed_and_stays_readable(tmp_path: Path) -> None:
    """Written without a log and commit by commit, as earlier versions did."""
    url = url_in(tmp_path).kept
    study = optuna.create_study(study_name="s", storage=url, directions=["maximize", "minimize"])
    study.set_metric_names(["accuracy", "latency_ms"])
    study.set_user_attr("problem", "{}")
    old = StudyStore(study, ("accuracy", "latency_ms"))
    told = one(old)
    assert not write_ahead.in_use(tmp_path / "study.db")
    with closing(open_study(tmp_path)) as store:
        assert store.records() == (told,)
        assert one(store).number == 1
