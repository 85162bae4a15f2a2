"""Signals as requests to stop: how many they count for, and what is left as it was."""

import signal

import pytest
from paretune.search.driver import budget
from paretune.search.driver.budget import StopFlag, catch_interrupts


@pytest.fixture(autouse=True)
def signals_as_before():
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_each_further_signal_asks_for_more_and_the_third_ends_at_once(number):
    flag, told = StopFlag(), []
    with catch_interrupts(flag, told.append):
        signal.raise_signal(number)
        signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert told == [1, 2, 3]


def test_what_ends_at_once_is_not_interrupted_by_impatience_but_after_a_while(monkeypatch):
    flag, at = StopFlag(count=2), [1000.0]
    monkeypatch.setattr(budget.time, "monotonic", lambda: at[0])
    with catch_interrupts(flag, lambda _: None):
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            at[0] += budget.ONCE_MORE_S


def test_a_terminal_that_closes_asks_for_one_stop_however_often_it_says_so():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    flag, told = StopFlag(), []
    with catch_interrupts(flag, told.append):
        for _ in range(4):
            signal.raise_signal(signal.SIGHUP)
        assert (flag.requested, flag.urgent) == (True, False)
        signal.raise_signal(signal.SIGTERM)
        assert flag.urgent
    assert told == [1, 2]
    signal.raise_signal(signal.SIGHUP)  # the report is being written by now


def test_a_hang_up_that_is_ignored_from_outside_stays_ignored():
    """`nohup paretune run study.yaml`."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    flag = StopFlag()
    with catch_interrupts(flag, lambda _: None):
        signal.raise_signal(signal.SIGHUP)
    assert not flag.requested
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_what_stood_before_stands_again():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    with catch_interrupts(StopFlag(), lambda _: None):
        pass
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
