"""Ten nights as a history keeps them: quiet ones, other code, a regression, a device that was off."""

from __future__ import annotations

import random
from dataclasses import replace

from paretune.profiles.quantity import Quantity
from paretune.search.nights.changes import changes
from paretune.search.nights.history import NightHistory
from paretune.search.nights.night import FactKind, Night, NightFact, NightStatus
from paretune.search.record.checks import Checked, CheckOutcome, MetricCheck, Scale

CODE, OTHER_CODE = "a" * 64, "b" * 64


def facts(code: str = CODE, runtime: str = "1.27.0") -> tuple[NightFact, ...]:
    return (
        NightFact(kind=FactKind.CODE, name="digits.py", value=code),
        NightFact(kind=FactKind.DATA, name="test", value="c" * 64, shown="540 samples (cccccccccccc)"),
        NightFact(kind=FactKind.STUDY, name="budget.trials", value="40"),
        NightFact(kind=FactKind.VERSIONS, name="onnxruntime", value=runtime),
        NightFact(kind=FactKind.DEVICE, name="governor", value="performance"),
        NightFact(kind=FactKind.STATE, name="load average", value="0.2, 0.3, 0.3"),
    )


def numbers(rng: random.Random, slower: float = 1.0, worse: float = 0.0) -> dict[str, Quantity]:
    latency = 1.21 * slower * rng.uniform(0.99, 1.01)
    accuracy = 0.974 - worse
    return {
        "accuracy": Quantity(value=accuracy, low=accuracy - 0.012, high=accuracy + 0.01),
        "latency_ms": Quantity(value=latency, low=latency * 0.985, high=latency * 1.015),
        "size_bytes": Quantity(value=84_300.0),
        "memory_bytes": Quantity(value=61e6 * rng.uniform(0.99, 1.01)),
    }


def a_night(number: int, status: NightStatus = NightStatus.GOOD, **changed: object) -> Night:
    rng = random.Random(number)
    usual = {
        "headline": "nothing regressed (14 checks passed)",
        "began": f"2026-11-{10 + number:02d}T02:00:03+00:00",
        "seconds": 700.0 + number,
        "study": "digits-1a2b3c4d",
        "run": "digits-1a2b3c4d",
        "workload": "digits",
        "profile": "host",
        "quality": "accuracy",
        "candidate": "width=0.5, int8 (minmax 128), ort",
        "trial": 12,
        "metrics": numbers(rng),
        "facts": facts(),
        "baseline": number - 1 or None,
    }
    return Night(number=number, status=status, **{**usual, **changed})


def checked(of: str, outcome: CheckOutcome = CheckOutcome.FAILED) -> Checked:
    slow = MetricCheck(
        subject="trial 12", metric="latency_ms", outcome=outcome, scale=Scale.RATIO, tolerated=1.03,
        expected=Quantity(value=1.21, low=1.2, high=1.22), found=Quantity(value=1.36, low=1.35, high=1.38),
        change=Quantity(value=1.124, low=1.101, high=1.146), p_value=0.0004,
    )  # fmt: skip
    fine = MetricCheck(
        subject="trial 12", metric="accuracy", outcome=CheckOutcome.PASSED, tolerated=-0.002,
        expected=Quantity(value=0.974), found=Quantity(value=0.974), change=Quantity(value=0.0),
        detectable=-0.006,
    )  # fmt: skip
    gone = MetricCheck(
        subject="trial 12", metric="energy_mj", outcome=CheckOutcome.SKIPPED, reason="there is no meter here"
    )
    return Checked(of=of, against="night 7", checks=(slow, fine, gone))


def without_numbers(number: int, status: NightStatus, headline: str) -> Night:
    return a_night(number, status, headline=headline, metrics={}, facts=(), candidate="", trial=None)


def made_history() -> NightHistory:
    """Nine nights before tonight."""
    off = without_numbers(5, NightStatus.SKIPPED, "the device does not answer")
    newer = a_night(6, facts=facts(OTHER_CODE))
    rest = (a_night(number, facts=facts(OTHER_CODE)) for number in (7, 9))
    killed = without_numbers(8, NightStatus.KILLED, "it ended without a word")
    first = [a_night(number) for number in range(1, 5)]
    seventh, ninth = rest
    return NightHistory(nights=(*first, off, newer, seventh, killed, ninth), damaged=())


def made_regression(nights: NightHistory) -> Night:
    """Tonight: other versions, and slower."""
    night = a_night(
        10, NightStatus.REGRESSED,
        headline="latency of the found trial 12 +12.4 % (+10.1 to +14.6 %), +3 % is tolerated",
        facts=facts(OTHER_CODE, "1.28.1"), metrics=numbers(random.Random(10), slower=1.12),
        regressed=checked("night 10"), verified=checked("the bundle of night 9", CheckOutcome.PASSED),
    )  # fmt: skip
    return replace(night, changes=changes(nights.nights[-1], night))
