"""A training that stops on one machine goes on from its last epoch on another."""

import shutil

import pytest
from paretune.search.record.protocols import Decision
from paretune.search.record.stops import TrainingStopped
from paretune.search.stages.training.loop import Control
from paretune.search.store.remote import RemoteStore


@pytest.fixture
def store(tmp_path, taught):
    """The store of whichever machine `here` names, over a directory in the place of an object store."""

    def store() -> RemoteStore:
        root = tmp_path / (tmp_path / "here").read_text()
        if not root.exists():
            shutil.copytree(taught, root)
        return RemoteStore(root, f"file://{tmp_path}/shared")

    return store


def test_each_epoch_is_trained_once(open_models, candidate, tmp_path):
    lines, wanted = [], candidate(epochs=4)
    control = Control(progress=lines.append)

    def pause(milestone):
        return Decision(reason="paused", pause=True) if milestone.curve[-1][0] == 2 else None

    (tmp_path / "here").write_text("a")
    with pytest.raises(TrainingStopped, match="paused"):
        open_models(control=control).trainer.trained(wanted, judge=pause)
    (tmp_path / "here").write_text("b")
    made = open_models(control=control).trainer.trained(wanted)
    assert not made.cached
    trained = [line.partition(",")[0] for line in lines if line.startswith("distill")]
    assert trained == [f"distill: epoch {epoch} of 4" for epoch in (1, 2, 3, 4)]
    (tmp_path / "here").write_text("a")
    assert open_models().trainer.trained(wanted).meta == made.meta
