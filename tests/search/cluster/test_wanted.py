"""Which workers are asked for, by a command line and by a study file."""

import sys
from functools import partial
from types import ModuleType
from unittest.mock import patch

import pytest
from paretune.profiles.errors import UserError
from paretune.search.cluster import start
from paretune.search.cluster.run import run_study_with_workers, workers_of
from paretune.search.cluster.script import check_script
from paretune.search.cluster.start import on_this_machine
from paretune.search.cluster.wanted import wanted_workers
from paretune.search.driver.budget import Budget
from paretune.search.job.job import load_job
from paretune.search.job.study_file import load_study_file
from paretune.search.job.workers_section import WorkersSection
from paretune.search.record.progress import Progress
from paretune.search.run.absent import Absent
from paretune.search.store.store import Store
from study.conftest import Bench


def test_a_number_a_cluster_or_neither():
    assert wanted_workers(None, None) is None
    assert wanted_workers(3, None) == WorkersSection(count=3)
    assert wanted_workers(None, "tcp://head:8786") == WorkersSection(cluster="tcp://head:8786")


@pytest.mark.parametrize("address", ["head:8786", "tls://[::1]:8786", "tcp://10.0.0.1:1"])
def test_what_a_scheduler_prints_is_an_address(address):
    assert wanted_workers(None, address) == WorkersSection(cluster=address)


@pytest.mark.parametrize(
    "address",
    ["", "head", "tcp://head", "tcp://head:99999", "tcp://me:secret@head:8786", "http://head:8786/x"],
)
def test_what_no_scheduler_answers_at_is_refused_before_anything_else(tmp_path, address):
    with pytest.raises(UserError, match="scheduler's address") as caught:
        wanted_workers(None, address)
    assert caught.value.place == "--cluster"
    with pytest.raises(UserError, match="scheduler's address") as caught:
        load_study_file(Bench(tmp_path).study(workers={"cluster": address}))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("count", "cluster"), [(2, "tcp://head:8786"), (0, None), (100_000, None), (2.5, None), (True, None)]
)
def test_both_none_and_too_many_are_refused(count, cluster):
    with pytest.raises(UserError, match="--workers"):
        wanted_workers(count, cluster)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (4, WorkersSection(count=4)),
        ({"count": 2}, WorkersSection(count=2)),
        ({"cluster": "tcp://head:8786"}, WorkersSection(cluster="tcp://head:8786")),
    ],
)
def test_a_study_file_says_the_same(tmp_path, written, meant):
    assert load_study_file(Bench(tmp_path).study(workers=written)).workers == meant


@pytest.mark.parametrize("written", [0, True, {}, {"count": 2, "cluster": "tcp://head:8786"}, {"number": 2}])
def test_what_is_no_number_of_workers_is_refused_with_its_place(tmp_path, written):
    with pytest.raises(UserError, match="workers"):
        load_study_file(Bench(tmp_path).study(workers=written))


@pytest.mark.parametrize(
    ("address", "here"),
    [
        ("tcp://127.0.0.1:8786", True),
        ("localhost:8786", True),
        ("tls://[::1]:8786", True),
        ("localhost", True),
        ("tcp://127.0.0.1", True),
        ("tcp://[::1:8786", False),
        ("tcp://10.0.0.1:8786", False),
        ("tcp://head:8786", False),
    ],
)
def test_loopback_is_this_machine(address, here):
    assert on_this_machine(address) is here


def test_an_estimated_device_needs_no_workers(tmp_path):
    with pytest.raises(UserError, match="estimated"):
        run_study_with_workers(Bench(tmp_path).study(), WorkersSection(count=2), absent=Absent())


@pytest.mark.parametrize(
    ("each", "problem"),
    [("LEAST_BYTES", "no room for so many workers"), ("FILES_EACH", "may open too few files")],
)
def test_more_workers_than_there_is_room_for_are_refused_before_any_is_started(
    tmp_path, monkeypatch, each, problem
):
    monkeypatch.setattr(start, each, 1 << 60)
    with pytest.raises(UserError, match=problem):
        run_study_with_workers(Bench(tmp_path).study(), WorkersSection(count=2))
    assert not (tmp_path / "runs").exists()


def test_workers_elsewhere_and_this_machine_as_the_device_are_refused_before_anything_is_trained(tmp_path):
    job = load_job(Bench(tmp_path).study(storage="postgresql+psycopg2://me@db/x"))
    makes = workers_of(WorkersSection(cluster="tcp://head:8786"), job.places.storage, "blobs")
    with pytest.raises(UserError, match="would each measure on their own"):
        makes(job, Store(tmp_path / "store"), Budget(trials=1, seconds=None), Progress())


def run_script(path, call, asked):
    """As the script that this process was started with."""
    path.write_text(f"def main():\n    asked()\n{call}\n")
    script = ModuleType("__main__")
    script.__file__, script.asked = str(path), asked
    with patch.dict(sys.modules, {"__main__": script}):
        exec(compile(path.read_text(), str(path), "exec"), vars(script))


def test_a_script_that_its_workers_would_run_is_refused_before_anything_is_done(tmp_path):
    ask = partial(run_study_with_workers, Bench(tmp_path).study(), WorkersSection(count=2))
    with pytest.raises(UserError, match=r"script\.py, line 3: workers would run this script"):
        run_script(tmp_path / "script.py", "main()", ask)
    assert not (tmp_path / "runs").exists()
    run_script(tmp_path / "script.py", "if __name__ == '__main__':\n    main()", check_script)
