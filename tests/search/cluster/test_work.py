"""A worker makes itself ready for a study, and leaves it."""

from contextlib import closing
from dataclasses import replace

import pytest
from paretune.search.cluster import work
from paretune.search.cluster.fitness import facts_of, witness
from paretune.search.cluster.orders import Order, StudyOrder
from paretune.search.cluster.work import UnfitError, WorkingStudy
from paretune.search.driver.budget import StopFlag
from paretune.search.job.job import load_job
from paretune.search.record.protocols import Standard
from paretune.search.record.workers import WorkerTask
from paretune.search.store.store import Store
from paretune.search.store.users import sessions
from study.conftest import Bench

pytestmark = pytest.mark.slow


@pytest.fixture
def study(tmp_path):
    space = {"student": {"width": [4]}, "precision": ["fp32"], "backend": ["toy"]}
    return Bench(tmp_path).study(space=space)


@pytest.fixture
def order(study):
    job = load_job(study)
    with witness(Store(job.places.store), "s") as seen:
        yield StudyOrder(
            session="s",
            study_file=str(study),
            expected=facts_of(job),
            witness=seen,
            reference=job.space.baselines()[0],
            seconds=None,
        )


def test_the_store_of_a_workers_machine_knows_of_it_until_it_leaves_or_fails(study, order, tmp_path):
    places, say = load_job(study).places, print
    root, run_dir = places.store, places.run_dir
    worker = WorkingStudy(order, say, "w", StopFlag())
    assert [one.run_dir for one in sessions(root)] == [run_dir]
    worker.close()
    assert sessions(root) == []
    (tmp_path / "blobs.py").write_text((tmp_path / "blobs.py").read_text().replace("Net(64)", "None"))
    with pytest.raises(UnfitError, match="teacher") as unfit:
        WorkingStudy(replace(order, expected=facts_of(load_job(study))), say, "w", StopFlag())
    assert unfit.value.passes
    assert sessions(root) == []


def test_how_closely_a_worker_measures_is_by_the_budget_of_the_study_and_not_by_what_is_left(
    order, monkeypatch
):
    monkeypatch.setattr(work, "asked", lambda say, otherwise, *question: otherwise)  # no driver is there
    of_study, told = replace(order, seconds=36_000.0), list[dict[str, object]]()
    task = WorkerTask(number=0, candidate=order.reference, measure=True)
    first = Order(study=of_study, task=task, standard=Standard(), seconds_left=30.0, rest=0.0)
    with closing(WorkingStudy(of_study, told.append, "w", StopFlag())) as worker:
        assert worker.done(first).hardware is not None
    assert [one["note"] for one in told if "note" in one] == []
