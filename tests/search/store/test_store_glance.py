from __future__ import annotations

import errno
import os

import pytest
from paretune.profiles.errors import UserError
from paretune.search.record.evaluation import Bound
from paretune.search.record.protocols import Decision, Milestone
from paretune.search.record.stops import Interrupted, TrainingStopped
from paretune.search.store.manifest import MANIFEST
from paretune.search.store.store import Store, content_key

KEY = content_key("distill", 1, {"a": 1})


def make(into):
    (into / "weights").write_bytes(b"12345")
    return {"quality": 0.5}


def test_a_glance_sees_what_any_process_has_made(tmp_path):
    store = Store(tmp_path)
    assert store.glance("sketch", KEY) is None
    made = Store(tmp_path).produce("sketch", KEY, {"from": "x"}, make)
    seen = store.glance("sketch", KEY)
    assert (seen.meta, seen.made_seconds) == ({"quality": 0.5}, made.made_seconds)
    assert (seen.cached, seen.seconds) == (True, 0.0)
    assert seen.path == made.path
    assert store.glance("sketch", KEY) is seen
    assert store.glance("prune", KEY) is None


def test_a_glance_reads_the_manifest_alone_until_the_damage_is_found(tmp_path):
    store = Store(tmp_path)
    entry = store.produce("sketch", KEY, {}, make)
    (entry.path / "weights").write_bytes(b"54321")
    assert store.glance("sketch", KEY) is not None
    assert store.get("sketch", KEY) is None
    assert store.glance("sketch", KEY) is None
    store.produce("sketch", KEY, {}, make)
    assert store.glance("sketch", KEY).meta == {"quality": 0.5}


def test_a_manifest_that_was_changed_is_not_believed(tmp_path):
    store = Store(tmp_path)
    manifest = store.produce("sketch", KEY, {}, make).path / MANIFEST
    manifest.write_text(manifest.read_text().replace("0.5", "0.9"))
    assert store.glance("sketch", KEY) is None


STOP = TrainingStopped(
    Milestone(key=KEY, kind="distill", epochs=4, curve=((1, 0.5),)),
    Decision(reason="beaten", bound=Bound(value=0.6, basis="t")),
    1.0,
)


@pytest.mark.parametrize("decision", [STOP, Interrupted("beaten")])
def test_a_stop_is_not_taken_for_a_full_disk_and_keeps_the_checkpoint(tmp_path, decision):
    """Also where it comes of one: what a judge or a progress line met on the way is not the stage's error."""
    store = Store(tmp_path)
    checkpoint = store.workdir("sketch", KEY) / "checkpoint.pt"
    checkpoint.write_bytes(b"half")
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def give_up(into):
        (into / "weights").write_bytes(b"12345")
        raise decision from full

    with pytest.raises(type(decision), match="beaten"):
        store.produce("sketch", KEY, {}, give_up)
    assert checkpoint.read_bytes() == b"half"
    assert not list((tmp_path / ".making").iterdir())

    def fill_up(into):
        raise full

    with pytest.raises(UserError, match="no space left for the store"):
        store.produce("sketch", KEY, {}, fill_up)
