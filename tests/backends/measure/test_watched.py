"""The device during the rounds: seen between blocks alone, kept beside them, refused where cut short."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import LatencyPlan, Rounds
from paretune.backends.measure.watched import refuse_cut_short, watched
from paretune.backends.watch.state import Quota, State
from paretune.profiles.errors import StageError
from paretune.profiles.watched import FLAG, REFERENCE

QUICK = LatencyPlan(warm_up_s=0.0, block_ms=3.0, rounds=12)


class Model:
    """Takes a millisecond, and longer once so many rounds are done."""

    def __init__(self, log: list[str], slow_after: int = 10**9) -> None:
        self.log, self.slow_after = log, slow_after

    def sample(self, loops: int, count: int) -> list[int]:
        self.log.append("block")
        return [1_300_000 if self.log.count("glance") >= self.slow_after else 1_000_000] * count


def looks(log: list[str], states: Iterator[State]) -> object:
    def look(thorough: bool) -> State:
        log.append("look" if thorough else "glance")
        return next(states)

    return look


def many(**told: object) -> Iterator[State]:
    number = 0
    while True:
        number += 1
        yield State(seconds=float(number), **{name: value(number) for name, value in told.items()})  # type: ignore[operator]


def measured(told: Iterator[State], slow_after: int = 10**9, log: list[str] | None = None) -> Rounds:
    log = [] if log is None else log
    return measure({"a": Model(log)}, Model(log, slow_after), QUICK, None, looks(log, told))  # type: ignore[arg-type]


def test_it_is_looked_at_before_between_and_after() -> None:
    log: list[str] = []
    found = measured(many(), log=log)
    assert [done for done, _ in found.watched] == [0, *range(1, 13), 12]
    first = log.index("look")
    assert log[first:] == ["look", *["block", "block", "glance"] * 12, "look"]


def test_nothing_else_changes_by_it_and_old_entries_can_be_read() -> None:
    log: list[str] = []
    plain = measure({"a": Model(log)}, Model(log), QUICK)
    seen = measured(many(slowed=lambda n: ()))
    assert replace(seen, watched=()) == plain
    assert Rounds.from_json(json.loads(json.dumps(seen.to_json()))) == seen
    old = plain.to_json()
    del old["watched"]
    assert Rounds.from_json(json.loads(json.dumps(old))) == plain
    assert watched(plain) is None


def test_what_a_record_keeps_of_it() -> None:
    told = many(
        clock_mhz=lambda n: {"3": 2400.0 if n < 7 else 1800.0},
        temperature_c=lambda n: {"cpu": 50.0 + n, "soc": 40.0},
        governor=lambda n: "ondemand",
        slowed=lambda n: () if n < 7 else ("throttled",),
    )
    found = watched(measured(told))
    assert found is not None
    assert (found.readings, found.governor, found.clock_mhz) == (14, "ondemand", (1800, 2400))
    assert (found.temperature_c, found.slowed) == ((51, 64), ("throttled",))
    assert found.slowdown is not None
    assert (found.slowdown.first_round, found.slowdown.known_by) == (6, FLAG)


def test_the_reference_tells_where_nothing_else_does() -> None:
    found = watched(measured(many(), slow_after=6))
    assert found is not None
    assert found.slowdown is not None
    assert (found.slowdown.known_by, found.slowed) == (REFERENCE, None)
    assert (found.slowdown.first_round, found.slowdown.slower) == (7, pytest.approx(0.3))


@pytest.mark.parametrize(
    ("cut", "periods", "refused"),
    [
        (0, 0, False),
        (0, 2, False),
        (0.1, 3, False),
        (0.1, 1, False),
        (0.1, 4, False),
        (0.5, 1, True),
        (1, 1, True),
    ],
)
def test_a_quota_that_bites_refuses_and_one_that_does_not_does_not(
    cut: float, periods: float, refused: bool
) -> None:
    def quota(number: int) -> Quota:
        return Quota(cores=1.0, periods=100 + round(periods * number), throttled=round(cut * number))

    found = measured(many(quota=quota))
    if refused:
        with pytest.raises(StageError, match="1 core") as error:
            refuse_cut_short(found)
        assert error.value.outside, "it says nothing about the candidate"
        assert error.value.stage == "measure"
    else:
        refuse_cut_short(found)
    seen = watched(found)
    assert seen is not None
    assert seen.quota_cores == 1.0
