"""Which device of a pool a task uses, and which are set aside; figures and time are the test's own."""

import pytest
from paretune.profiles.quantity import Quantity
from paretune.search.driver.device_pool import BACK_S, SEEN, DevicePool
from paretune.search.record.stops import DeviceGoneError

GONE = DeviceGoneError("device a cannot be reached any more", found="Connection refused", remedy="look")


def took(ms, half=0.01):
    return Quantity(value=ms, low=ms * (1 - half), high=ms * (1 + half))


@pytest.fixture
def notes():
    return []


def seen(pool, times=SEEN, **ms):
    for _ in range(times):
        for name, value in ms.items():
            pool.learn(name, took(value))


def test_tasks_go_to_the_device_with_the_fewest_and_in_turn():
    pool = DevicePool(["a", "b", "c"])
    assert [pool.next() for _ in range(4)] == ["a", "b", "c", "a"]
    pool.done("b")
    pool.done("c")
    assert [pool.next() for _ in range(3)] == ["b", "c", "b"]
    for name in ("a", "a", "b", "b", "c"):
        pool.done(name)
    assert [pool.next(), pool.next()] == ["a", "c"]  # they had fewer so far


def test_a_study_without_a_pool_has_one_device_without_a_name():
    pool = DevicePool(())
    assert pool.next() == pool.next() == ""
    seen(pool, **{"": 5.0})
    with pytest.raises(DeviceGoneError):
        pool.lost("", GONE)


def test_one_that_differs_from_most_is_set_aside_and_told_with_figures(notes):
    pool = DevicePool(["a", "b", "c"], notes.append)
    pool.settle(2.0)  # the study began on the one that is off
    seen(pool, times=SEEN - 1, a=1.0, b=1.02, c=2.0)
    assert pool.usable == ("a", "b", "c")
    seen(pool, times=1, a=1.0, b=1.02, c=2.0)
    assert pool.usable == ("a", "b")
    note, about_times = notes
    assert "c is set aside: the reference takes 2 ms there, 96 % more than 1.02 ms" in note
    assert "the median of 3 devices" in note
    assert "rest on 2 ms for the reference, taken on a device that is off: most take 1.02 ms" in about_times
    assert {pool.next() for _ in range(4)} == {"a", "b"}
    seen(pool, c=2.0, a=1.0)
    assert len(notes) == 2


def test_one_that_is_quicker_is_another_device_as_well(notes):
    pool = DevicePool(["a", "b", "c"], notes.append)
    pool.settle(1.0)
    seen(pool, a=1.0, b=1.02, c=0.5)
    assert (pool.usable, len(notes)) == (("a", "b"), 1)


def test_a_disturbed_moment_a_wide_interval_and_a_small_difference_set_nobody_aside(notes):
    pool = DevicePool(["a", "b", "c"], notes.append)
    for _ in range(4):
        seen(pool, times=2, a=1.0, b=1.0, c=2.0)
        seen(pool, times=1, a=1.0, b=1.0, c=1.0)
    assert pool.usable == ("a", "b", "c")
    pool = DevicePool(["a", "b", "c"], notes.append)
    seen(pool, times=9, a=1.0, b=1.05, c=1.08)
    for _ in range(9):
        pool.learn("c", took(1.5, half=0.4))
    assert (pool.usable, notes) == (("a", "b", "c"), [])


@pytest.mark.parametrize(("standard", "left"), [(1.0, "a"), (1.51, "b")])
def test_of_two_the_reference_of_the_study_decides_and_that_is_said(notes, standard, left):
    pool = DevicePool(["a", "b"], notes.append)
    pool.settle(standard)
    seen(pool, a=1.0, b=1.5)
    assert pool.usable == (left,)
    assert f"than {standard:.4g} ms (by which the study tells latencies: so few devices" in notes[0]


@pytest.mark.parametrize("standard", [None, 1.25, 5.0])
def test_where_it_does_not_decide_the_difference_is_told_once_and_both_go_on(notes, standard):
    pool = DevicePool(["a", "b"], notes.append)
    if standard:
        pool.settle(standard)
    seen(pool, times=9, a=1.0, b=1.5)
    assert pool.usable == ("a", "b")
    (note,) = notes
    assert "differ by 50 %: the reference takes 1 ms on a and 1.5 ms on b" in note


def test_as_many_on_either_side_are_decided_like_two():
    pool = DevicePool(["a", "b", "c", "d"])
    pool.settle(1.0)
    seen(pool, a=1.0, b=1.0, c=2.0, d=2.0)
    assert pool.usable == ("a", "b")


def test_a_device_that_is_lost_is_tried_again_after_a_while(notes):
    now = [0.0]
    pool = DevicePool(["a", "b"], notes.append, clock=lambda: now[0])
    assert pool.next() == "a"
    pool.lost("a", GONE)
    pool.done("a")
    assert "a was lost, and its task is done on another device (Connection refused)" in notes[0]
    assert {pool.next(), pool.next()} == {"b"}
    now[0] = BACK_S
    assert pool.next() == "a"
    pool.lost("a", GONE)
    now[0] += 1.5 * BACK_S
    assert pool.usable == ("b",)
    with pytest.raises(DeviceGoneError) as caught:
        pool.lost("b", GONE)
    assert caught.value.found == "Connection refused"


def test_one_outage_is_one_however_many_tasks_were_at_hand_and_is_forgotten_once_the_device_works():
    now = [0.0]
    pool = DevicePool(["a", "b"], clock=lambda: now[0])
    for _ in range(4):
        pool.lost("a", GONE)
    now[0] = BACK_S
    assert pool.usable == ("a", "b")
    seen(pool, times=1, a=1.0)
    pool.lost("a", GONE)
    now[0] += BACK_S
    assert pool.usable == ("a", "b")


def test_the_last_one_that_answers_is_not_set_aside():
    pool = DevicePool(["a", "b", "c"])
    seen(pool, a=1.0, b=1.0)
    pool.lost("a", GONE)
    pool.lost("b", GONE)
    seen(pool, c=2.0)
    assert pool.next() == "c"


def test_what_was_measured_on_a_device_that_left_the_profile_teaches_nothing():
    pool = DevicePool(["a"])
    seen(pool, gone=3.0)
    assert pool.usable == ("a",)
