"""A worker makes itself ready for a study, and leaves it."""

from dataclasses import replace

import pytest
from paretune.search.cluster.fitness import facts_of, leave_witness
from paretune.search.cluster.orders import StudyOrder
from paretune.search.cluster.work import UnfitError, WorkingStudy
from paretune.search.driver.budget import StopFlag
from paretune.search.job.job import load_job
from paretune.search.store.store import Store
from paretune.search.store.users import sessions
from study.conftest import Bench

pytestmark = pytest.mark.slow


def test_the_store_of_a_workers_machine_knows_of_it_until_it_leaves_or_fails(tmp_path):
    space = {"student": {"width": [4]}, "precision": ["fp32"], "backend": ["toy"]}
    study = Bench(tmp_path).study(space=space)
    job = load_job(study)
    root, run_dir = job.places.store, job.places.run_dir
    order = StudyOrder(
        session="s",
        study_file=str(study),
        expected=facts_of(job),
        witness=leave_witness(Store(root), "s"),
        reference=job.space.baselines()[0],
        seconds=None,
    )
    say = print
    worker = WorkingStudy(order, say, "w", StopFlag())
    assert [one.run_dir for one in sessions(root)] == [run_dir]
    worker.close()
    assert sessions(root) == []
    (tmp_path / "blobs.py").write_text((tmp_path / "blobs.py").read_text().replace("Net(64)", "None"))
    with pytest.raises(UnfitError, match="teacher"):
        WorkingStudy(replace(order, expected=facts_of(load_job(study))), say, "w", StopFlag())
    assert sessions(root) == []
