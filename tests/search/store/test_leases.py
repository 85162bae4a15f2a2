"""Who makes an entry, of machines that share an object store: taken over from the dead alone, and by one."""

import json
import platform
import threading
import time
from types import SimpleNamespace

import pytest
from contracts.store_contract import KEY, until
from paretune.search.record.stops import Interrupted
from paretune.search.store import leases
from paretune.search.store.leases import Beat, KeyLease
from paretune.search.store.objects import Objects

pytestmark = pytest.mark.slow

BEAT = Beat(every=0.05, look=0.05, lapse=30.0)
FIRST, SECOND = (f"all/leases/sketch/{KEY}/{number:06d}" for number in (1, 2))


@pytest.fixture
def objects(s3, bucket):
    return Objects(f"s3://{bucket}/all")


@pytest.fixture
def names(s3, bucket):
    return lambda: s3.names(bucket, "all/leases/")


def lease_of(objects, cache="mine", beat=BEAT, **given) -> KeyLease:
    return KeyLease(objects, "sketch", KEY, cache, beat, **given)


def of_another(beats=0, cache="theirs", host="elsewhere") -> bytes:
    return json.dumps({"token": "x", "cache": cache, "host": host, "beats": beats}).encode()


def test_time_in_which_nobody_could_look_is_not_held_against_a_holder(
    objects, names, s3, bucket, monkeypatch
):
    line, looks, ahead, real = threading.Event(), [], [0.0], Objects._asked

    def asked(self, ask):
        looks.append(1)
        assert line.wait(30)
        return real(self, ask)

    def hold():
        with lease_of(objects).held(lambda: False):
            seen.append(names())

    s3.write(bucket, FIRST, of_another())
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0], sleep=time.sleep)
    monkeypatch.setattr(leases, "time", clock)
    monkeypatch.setattr(Objects, "_asked", asked)
    seen, waiting = [], threading.Thread(target=hold, daemon=True)
    line.set()
    waiting.start()
    until(lambda: len(looks) > 5)
    line.clear()
    ahead[0] += 10 * BEAT.lapse  # the line was cut for so long
    line.set()
    looks.clear()
    until(lambda: len(looks) > 5)  # as long as the holder needs to renew it
    assert names() == [FIRST]
    s3.remove(bucket, FIRST)
    waiting.join(30)
    assert seen == [[FIRST]]


def test_of_a_lost_holder_that_ends_nothing_is_taken_for_free(objects, names, s3, bucket):
    with lease_of(objects).held(lambda: False):
        s3.write(bucket, SECOND, of_another())
    assert names() == [FIRST, SECOND]
    s3.remove(bucket, FIRST)  # as an earlier paretune did
    with lease_of(objects).held(lambda: True):
        assert names() == [SECOND]


@pytest.mark.parametrize(("host", "held"), [(platform.node(), [FIRST, SECOND]), ("elsewhere", [FIRST])])
def test_a_cache_tells_of_the_dead_on_its_own_machine_alone(objects, names, s3, bucket, host, held):
    s3.write(bucket, FIRST, of_another(cache="mine", host=host))
    with lease_of(objects).held(lambda: True):
        assert names() == held


def test_a_lease_that_was_removed_by_hand_is_put_again(objects, names, s3, bucket, caplog):
    lease = lease_of(objects)
    with lease.held(lambda: False):
        s3.remove(bucket, FIRST)
        until(names)
    assert not lease.lost
    assert not caplog.records
    assert names() == []


def test_whatever_goes_wrong_with_a_lease_its_thread_goes_on_and_the_work_too(objects, names, monkeypatch):
    failed, renewed, real = [], [], Objects.write

    def write(self, name, content):
        if len(failed) < 2:
            failed.append(1)
            raise RuntimeError("of a library")
        renewed.append(1)
        real(self, name, content)

    def remove(self, name):
        raise RuntimeError("of a library")

    monkeypatch.setattr(Objects, "write", write)
    monkeypatch.setattr(Objects, "remove", remove)
    with lease_of(objects).held(lambda: False):
        until(lambda: renewed)
    assert names() == [FIRST]


def test_a_wait_is_told_and_can_be_ended(objects, names, s3, bucket):
    s3.write(bucket, FIRST, of_another())
    passed = []

    def waited(seconds):
        passed.append(seconds)
        if len(passed) == 3:
            raise Interrupted("enough")

    with pytest.raises(Interrupted, match="enough"), lease_of(objects, waited=waited).held(lambda: False):
        pytest.fail("it was taken")
    assert sum(passed) >= 2 * BEAT.look
    assert names() == [FIRST]
