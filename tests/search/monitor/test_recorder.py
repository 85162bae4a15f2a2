"""Recording: what is counted, that it never stands in the way, and what is left after any end."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

X, Y = np.zeros((1, 6), np.float32), np.eye(3, dtype=np.float32)[:1]
BAD = [
    None,
    "text",
    3,
    {},
    [],
    {"z": X},
    {"x": X[:, :5]},
    {"x": X[:0]},
    {"x": [["a"] * 6]},
    {"x": np.array([[object()] * 6])},
    {"x": X.astype(np.complex64)},
    {"x": np.full((1, 6), np.nan)},
    {"x": np.full((1, 6), 1e308)},
    {"x": np.zeros((1000, 6))},
]


def totals(shipped, log: Path) -> dict[str, int]:
    """Counts of events over all windows of a file."""
    found: dict[str, int] = {}
    for window in shipped.module.read_log(str(log))[1]:
        for name, count in window["numbers"].items():
            found[name] = found.get(name, 0) + count
    return found


def test_what_was_recorded_is_counted(shipped, tmp_path):
    monitor = shipped.monitor(tmp_path / "log")
    for number in range(3):
        with monitor.inference({"x": X}) as seen:
            seen({"y": Y}, id=number)
    monitor.record(X, [Y], 2.0)  # of one input, and in order
    monitor.record({"x": np.repeat(X, 5, axis=0)}, {"y": np.repeat(Y, 5, axis=0)}, 0.1, id="abcde")
    monitor.label(0, 0)
    monitor.label(1, 2)
    monitor.label("nobody", 2)
    monitor.label("long ago", 1, prediction=1)
    monitor.close()
    _, (window,) = shipped.module.read_log(str(tmp_path / "log"))
    assert window["numbers"]["calls"] == 5
    assert window["numbers"]["samples"] == 9
    assert window["quality"][:2] == [3, 2]
    assert window["classes"] == {"0": [1, 1], "2": [1, 0], "1": [1, 1]}
    assert window["numbers"]["labels without answer"] == 1
    assert sum(window["latency"].values()) == 4  # of the bundle's batch
    assert sum(window["elsewise"].values()) == 1


def test_times_are_read_back_within_a_per_cent(shipped):
    times = np.geomspace(1e-6, 900, 500)
    back = np.array([shipped.module.seconds_of(int(one)) for one in shipped.module.buckets_of(times)])
    assert np.abs(back / times - 1).max() < 0.01


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_nothing_that_it_is_given_stands_in_the_way(shipped, tmp_path):
    monitor = shipped.monitor(tmp_path / "log")
    for bad in BAD:
        for seconds in (1e-3, float("nan"), -1.0, None, "soon"):
            monitor.record(bad, {"y": Y}, seconds, id=1)
            monitor.record({"x": X}, bad, seconds, id=[1, {}])
        with monitor.inference(bad) as seen:
            seen(bad, id={})
        monitor.label(bad, bad)
        monitor.label(1, bad, prediction=bad)
        monitor.flush()
    monitor.record({"x": X}, {"y": Y}, 1e-3)
    monitor.close()
    assert monitor.trouble == ""
    counts = totals(shipped, tmp_path / "log")
    assert counts["unfit x"] > 20
    assert counts["unfit y"] > 20
    assert counts["lost"] == 0


def test_errors_of_the_model_are_its_own(shipped, tmp_path):
    monitor = shipped.monitor(tmp_path / "log")
    with pytest.raises(KeyError), monitor.inference({"x": X}):
        raise KeyError("mine")
    monitor.record({"x": X}, {"y": Y}, 1e-3)
    monitor.close()
    assert totals(shipped, tmp_path / "log")["without outputs"] == 1


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("place", ["missing/log", "text", ".", "/dev/null", "full"])
def test_where_nothing_can_be_written_it_says_so_and_goes_on(shipped, tmp_path, place):
    (tmp_path / "text").write_text("another program's\n")
    if place == "full":
        (tmp_path / place).symlink_to("/dev/full")
    monitor = shipped.monitor(tmp_path / place)
    monitor.record({"x": X}, {"y": Y}, 1e-3)
    monitor.flush()
    assert "cannot be written" in monitor.trouble
    assert (tmp_path / "text").read_text() == "another program's\n"
    monitor.close()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(
    "plan", [None, "", "[]", "null", "{}", '{"tensors": [{}], "series": [], "batch": 1}']
)
def test_without_a_plan_it_records_nothing(shipped, tmp_path, plan):
    if plan is not None:
        (tmp_path / "monitor.json").write_text(plan)
    monitor = shipped.module.Monitor.beside(tmp_path, log=tmp_path / "log")
    with monitor.inference({"x": X}) as seen:
        seen({"y": Y})
    monitor.label(1, 1)
    monitor.close()
    assert monitor.trouble
    assert not (tmp_path / "log").exists()


def test_the_next_process_goes_on(shipped, tmp_path):
    for _ in range(2):
        shipped.used(tmp_path / "log", 10, 0)
    assert totals(shipped, tmp_path / "log")["calls"] == 20
    assert len(shipped.module.read_log(str(tmp_path / "log"))[1]) == 1  # of one hour
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_two_at_once_have_files_of_their_own(shipped, tmp_path):
    monitors = [shipped.monitor(tmp_path / "log") for _ in range(2)]
    for monitor in monitors:
        monitor.record({"x": X}, {"y": Y}, 1e-3)
        monitor.flush()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]
    for monitor in monitors:
        monitor.close()


def test_a_fork_records_into_a_file_of_its_own(shipped, tmp_path):
    monitor = shipped.monitor(tmp_path / "log")
    monitor.record({"x": X}, {"y": Y}, 1e-3)
    monitor.flush()
    child = os.fork()
    if not child:
        monitor.record({"x": X}, {"y": Y}, 1e-3)
        monitor.close()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    monitor.record({"x": X}, {"y": Y}, 1e-3)
    monitor.close()
    assert totals(shipped, tmp_path / "log")["calls"] == 2
    assert totals(shipped, tmp_path / "log.1")["calls"] == 1


def test_the_log_of_another_bundle_is_moved_aside(shipped, tmp_path):
    shipped.used(tmp_path / "log", 10, 0)
    other = tmp_path / "other"
    other.mkdir()
    text = (shipped.folder / "monitor.json").read_text()
    (other / "monitor.json").write_text(text + " ")
    monitor = shipped.module.Monitor.beside(other, log=tmp_path / "log")
    monitor.record({"x": X}, {"y": Y}, 1e-3)
    monitor.close()
    assert totals(shipped, tmp_path / "log")["calls"] == 1
    assert totals(shipped, tmp_path / "log.before")["calls"] == 10


def test_threads_lose_nothing(shipped, tmp_path):
    monitor = shipped.monitor(tmp_path / "log")
    threads = [
        threading.Thread(target=lambda: [monitor.record({"x": X}, {"y": Y}, 1e-3) for _ in range(100)])
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    monitor.close()
    counts = totals(shipped, tmp_path / "log")
    assert counts["calls"] + counts["lost"] == 800


def test_file_and_windows_are_bounded(shipped, tmp_path):
    monitor = shipped.monitor(tmp_path / "log", window_seconds=0.0)  # each flush is a window
    for _ in range(80):
        monitor.record({"x": X}, {"y": Y}, 1e-3)
        monitor.flush()
    monitor.close()
    assert totals(shipped, tmp_path / "log")["calls"] == 80
    assert len(shipped.module.read_log(str(tmp_path / "log"))[1]) <= shipped.module.MOST_WINDOWS + 2
    assert (tmp_path / "log").stat().st_size == 2 * shipped.module.HALF


def test_answers_that_wait_for_labels_are_bounded(shipped, tmp_path, monkeypatch):
    monkeypatch.setattr(shipped.module, "MOST_KEPT", 5)
    monitor = shipped.monitor(tmp_path / "log")
    for number in range(20):
        monitor.record({"x": X}, {"y": Y}, 1e-3, id=number)
    for number in range(20):
        monitor.label(number, 0)
    monitor.close()
    counts = totals(shipped, tmp_path / "log")
    assert counts["labels without answer"] == 15


def test_a_torn_file_is_read_up_to_the_tear(shipped, tmp_path):
    log = tmp_path / "log"
    monitor = shipped.monitor(log, window_seconds=0.0)
    for _ in range(6):
        monitor.record({"x": X}, {"y": Y}, 1e-3)
        monitor.flush()
    monitor.close()
    whole, rng, seen = log.read_bytes(), np.random.default_rng(0), set()
    half = shipped.module.HALF
    for _ in range(60):
        torn = bytearray(whole)
        for start in (0, half)[: rng.integers(1, 3)]:
            at = start + int(rng.integers(0, 2500))
            torn[at : at + int(rng.integers(1, 4000))] = b""
        log.write_bytes(bytes(torn[: int(rng.integers(1, len(torn) + 1))]))
        try:
            seen.add(sum(window["numbers"]["calls"] for window in shipped.module.read_log(str(log))[1]))
        except OSError:
            seen.add(-1)
    assert {5, 6} & seen
    assert seen <= {-1, 0, 1, 2, 3, 4, 5, 6}
    log.write_bytes(whole)
    shipped.used(log, 1, 0)
    assert totals(shipped, log)["calls"] == 7


KILLED = """
import sys, numpy as np
from monitor import Monitor
monitor, calls = Monitor.beside(".", log=sys.argv[1], flush_seconds=1e9), 0
while True:
    for _ in range(10):
        monitor.record({"x": np.zeros((1, 6), np.float32)}, {"y": np.eye(3, dtype=np.float32)[:1]}, 1e-3)
    monitor.flush()
    calls += 10
    print(calls, flush=True)
"""


@pytest.mark.slow
def test_a_kill_loses_what_was_not_flushed_and_no_more(shipped, tmp_path):
    rng, known, log = np.random.default_rng(0), 0, tmp_path / "log"
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, log], cwd=shipped.folder, stdout=subprocess.PIPE, text=True
        )
        said = "".join(process.stdout.readline() for _ in range(int(rng.integers(1, 30))))
        process.kill()
        flushed = int((said + process.stdout.read()).splitlines()[-1])
        process.communicate()
        now = totals(shipped, log)["calls"]
        assert now - known in (flushed, flushed + 10)  # the kill may come before what is flushed is told
        known = now


def test_a_full_disk_later_on_takes_nothing_away(shipped, tmp_path):
    code = """
import resource, sys, numpy as np
from monitor import HALF, Monitor
monitor = Monitor.beside(".", log=sys.argv[1], flush_seconds=1e9)
def ask(): monitor.record({"x": np.zeros((1, 6), np.float32)}, {"y": np.eye(3, dtype=np.float32)[:1]}, 1e-3)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
ask(); monitor.flush(); assert "cannot be written" in monitor.trouble, monitor.trouble
resource.setrlimit(resource.RLIMIT_FSIZE, (2 * HALF, resource.RLIM_INFINITY))
ask(); monitor.flush(); assert not monitor.trouble, monitor.trouble
"""
    command = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "log")]
    subprocess.run(command, cwd=shipped.folder, check=True)
    assert totals(shipped, tmp_path / "log")["calls"] == 2
