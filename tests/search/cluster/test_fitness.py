"""Whether a worker is fit: what has to be the same, and what is said where it is not."""

from contextlib import closing
from dataclasses import replace

import pytest
import yaml
from paretune.backends.registry import get_backend
from paretune.search.cluster import fitness, work
from paretune.search.cluster.fitness import STAGE, differences, facts_of, witness
from paretune.search.cluster.orders import Order, StudyOrder
from paretune.search.cluster.work import UnfitError, WorkingStudy, fit_job
from paretune.search.driver.budget import StopFlag
from paretune.search.job.job import load_job
from paretune.search.record.protocols import Standard
from paretune.search.record.workers import WorkerTask
from paretune.search.store.store import Store
from study.conftest import WORKLOAD, Bench


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("fit")).study()


@pytest.fixture(scope="module")
def order(study):
    job = load_job(study)
    first = job.space.baselines()[0]
    return StudyOrder(
        session="s", study_file=str(study), expected=facts_of(job), witness="", reference=first, seconds=None
    )


def test_the_same_study_in_the_same_environment_is_fit(order):
    assert fit_job(order).file.name == "blobs"


def test_each_difference_is_named_with_both_sides(order):
    other = {**order.expected, "package torch": "0.1", "package nothing": "3.0"}
    with pytest.raises(UnfitError) as refused:
        fit_job(replace(order, expected=other))
    here = order.expected["package torch"]
    assert set(refused.value.differences) == {
        f"package torch: {here} there, 0.1 expected",
        "package nothing: none there, 3.0 expected",
    }


def test_a_changed_workload_or_space_is_another_study(order, study):
    study.with_name("blobs.py").write_text(study.with_name("blobs.py").read_text() + "\n# another\n")
    with pytest.raises(UnfitError, match="study's workload") as unfit:
        fit_job(order)
    assert not unfit.value.passes


def test_a_file_that_is_not_seen_there_is_told(order, study):
    with pytest.raises(UnfitError, match="not seen there") as unfit:
        fit_job(replace(order, study_file=str(study.with_name("none.yaml"))))
    assert unfit.value.passes


def test_this_machine_as_the_device_is_none_of_another_machine(study, monkeypatch, tmp_path):
    job = load_job(study)
    here = facts_of(job)
    elsewhere = tmp_path / "boot_id"
    elsewhere.write_text("another")
    monkeypatch.setattr(fitness, "_BOOT", elsewhere)
    assert [one.partition(":")[0] for one in differences(here, facts_of(job))] == ["machine"]


def test_a_witness_is_in_the_store_that_it_was_left_in_and_in_no_other_as_long_as_it_is_needed(tmp_path):
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    with witness(here, "one session") as key:
        assert Store(tmp_path / "here").get(STAGE, key) is not None
        assert there.get(STAGE, key) is None
        with witness(here, "another") as other:
            assert key != other
    assert [path for path in (tmp_path / "here").rglob("*") if path.is_file()] == []


def test_a_worker_that_does_not_reach_the_device_is_ready_and_at_its_first_task_unfit(
    order, tmp_path, monkeypatch
):
    """It asks nothing of the device before. Its driver has reached it: so it is no device that is gone."""
    cpu = {"model": "some", "architecture": "x86-64", "cores": 1, "threads": 1, "source": "test"}
    cpu |= {"instruction_sets": ["avx2"], "memory_bytes": {"value": "1 GB", "source": "test"}}
    reach = {"kind": "ssh", "host": "board"}
    profile = {"name": "board", "title": "A board", "cpu": cpu, "reach": reach}
    (tmp_path / "board.yaml").write_text(yaml.safe_dump(profile))
    study = Bench(tmp_path).study(profile="./board.yaml")
    job = load_job(study)
    monkeypatch.setenv("PATH", str(tmp_path))  # where no ssh is
    with witness(Store(job.places.store), "s") as seen:
        changed = {"study_file": str(study), "expected": facts_of(job), "witness": seen}
        of_study = replace(order, **changed)
        ready = WorkingStudy(of_study, lambda said: None, "worker 3", StopFlag())
        task = WorkerTask(number=0, candidate=order.reference)
        first = Order(study=of_study, task=task, standard=Standard(), seconds_left=None, rest=0.0)
        monkeypatch.setattr(work, "asked", lambda say, otherwise, *question: otherwise)  # no driver is there
        with closing(ready), pytest.raises(UnfitError, match="device board cannot be reached"):
            ready.done(first)


def test_a_package_that_is_installed_under_a_running_worker_is_told(order, tmp_path, monkeypatch):
    (tmp_path / "numpy-0.0.1.dist-info").mkdir()
    (tmp_path / "numpy-0.0.1.dist-info" / "METADATA").write_text("Name: numpy\nVersion: 0.0.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(UnfitError, match=r"package numpy: 0\.0\.1 was installed .*: restart it"):
        fit_job(order)


OWN_BACKEND = """
from model import NAME
from paretune_toy import ToyBackend
class Own(ToyBackend):
    title = NAME
"""


class Folder:
    """A study with a workload and a backend of its own, which both take a name from a module beside them."""

    def __init__(self, root, workload):
        root.mkdir()
        self.root, self.bench = root, Bench(root)
        (root / "own_toy.py").write_text(OWN_BACKEND)
        (root / "jobs").mkdir()
        text = "import model\n" + WORKLOAD.replace('name="blobs"', "name=model.NAME")
        for place in (root, root / "jobs"):
            (place / "blobs.py").write_text(text)
        space = {"student": {"width": [4]}, "precision": ["fp32"], "backend": ["own_toy:Own"]}
        self.study = self.bench.study(workload=workload, space=space)

    def says(self, name):
        (self.root / "model.py").write_text(f"NAME = {name!r}\n")

    def used(self, order):
        """The names that a worker's process finds in both."""
        job = fit_job(replace(order, study_file=str(self.study), expected={}))
        return job.loaded.workload.name, get_backend("own_toy:Own").title


@pytest.mark.parametrize("workload", ["blobs.py", "jobs.blobs:workload"])
def test_a_process_uses_the_code_of_the_study_at_hand_as_it_is_now(order, tmp_path, workload):
    one, other = (Folder(tmp_path / name, workload) for name in ("one", "other"))
    one.says("first")
    other.says("second one")
    assert one.used(order) == ("first", "first")
    assert other.used(order) == ("second one", "second one")
    assert one.used(order) == ("first", "first")
    one.says("edited since")
    assert one.used(order) == ("edited since", "edited since")
