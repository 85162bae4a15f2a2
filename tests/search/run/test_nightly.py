"""The study of a night."""

from types import SimpleNamespace

from paretune.search.driver.budget import StopFlag
from paretune.search.record.progress import Progress
from paretune.search.run import nightly
from paretune.search.store.users import sessions


def test_a_night_is_known_to_its_store_while_it_is_at_work(tmp_path, monkeypatch):
    store, run_dir = tmp_path / "store", tmp_path / "runs" / "a"
    store.mkdir()
    monkeypatch.setattr(nightly, "run_job", lambda *_, **__: sessions(store))
    job = SimpleNamespace(places=SimpleNamespace(store=store, run_dir=run_dir))
    found = nightly.run_night(job, Progress(), StopFlag(), 1.0)
    assert [one.run_dir for one in found] == [run_dir]
    assert sessions(store) == []
