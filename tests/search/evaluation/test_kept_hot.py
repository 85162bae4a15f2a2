"""Finalists take turns at work; what they are hot stands in the place of what they were cold."""

from types import SimpleNamespace

import pytest
from paretune.profiles.errors import StageError
from paretune.search.evaluation import sustained as module
from paretune.search.evaluation.sustained import kept_hot
from paretune.search.record.evaluation import Finalist, Quantity
from paretune.search.record.sustained import Minute, Sustained, SustainedLoad, seconds_of
from paretune.search.stages.deployment.sustained import SustainedAsked


def finalist(number, latency, ratio=None):
    metrics = {
        "latency_ms": Quantity(value=latency, low=0.9 * latency, high=1.1 * latency),
        "latency_p99_ms": Quantity(value=2 * latency),
        "size_bytes": Quantity(value=1e5),
    }
    return Finalist(
        number=number,
        metrics=metrics,
        ratio_to_baseline=None if ratio is None else Quantity(value=ratio, low=ratio, high=ratio),
    )


class Bench:
    """A device on which each takes so many times as long when hot; `works` are those that were asked."""

    def __init__(self, monkeypatch, slower, stored=()):
        self.works, self.slower, self.stored = {}, slower, stored
        monkeypatch.setattr(module, "kept_at_work", self.kept_at_work)
        monkeypatch.setattr(module, "was_kept", lambda one, device, asked: one in stored)

    def kept_at_work(self, number, device, work):
        self.works[number] = work
        if self.slower[number] is None:
            raise StageError("measure", "it broke")
        return Sustained(
            asked_s=work.asked.seconds,
            seconds=work.seconds,
            load=str(work.asked.load),
            rate=work.rate,
            minutes=(Minute(served=1, p50_ms=1.0),),
            slowdown=Quantity(value=self.slower[number]),
            tails={"latency_p99_ms": 3.0},
        )

    def run(self, *finalists, left=float("inf"), asked=None):
        settled = [
            SimpleNamespace(number=one.number, side=SimpleNamespace(contender=one.number))
            for one in finalists
        ]
        device = SimpleNamespace(
            announce=lambda text: None, deployment=SimpleNamespace(usual=SimpleNamespace(batch=2))
        )
        chain = SimpleNamespace(
            sustained=asked or SustainedAsked(seconds=600.0, load=SustainedLoad()),
            device=device,
            checkpoint=lambda: None,
        )
        return kept_hot(finalists, settled, chain, lambda: left)


def test_hot_latencies_stand_in_the_place_of_cold_ones(monkeypatch):
    bench = Bench(monkeypatch, {0: 1.1, 1: 2.0})
    (base, other), said = bench.run(finalist(0, 1.0), finalist(1, 0.8, ratio=0.8))
    assert said == ""
    assert other.metrics["latency_ms"].value == pytest.approx(1.6)
    assert other.metrics["latency_p99_ms"].value == pytest.approx(4.8)  # its tail grew more than its middle
    assert other.metrics["size_bytes"].value == 1e5
    assert other.ratio_to_baseline.value == pytest.approx(0.8 * 2.0 / 1.1)
    assert other.deployed.sustained.cold["latency_ms"].value == 0.8
    assert other.deployed.sustained.hot["latency_ms"] == other.metrics["latency_ms"]
    assert base.metrics["latency_ms"].ends == pytest.approx((0.99, 1.21))


@pytest.mark.parametrize(
    ("left", "stored", "seconds"),
    [
        (float("inf"), (), 600.0),
        (seconds_of(600.0, 2), (), 600.0),
        (seconds_of(600.0, 2) - 1, (), 540.0),
        (seconds_of(600.0, 1), (0,), 600.0),  # what the store has takes no time
        (300.0, (), 120.0),
    ],
)
def test_there_is_as_much_work_as_there_is_time_for(monkeypatch, left, stored, seconds):
    bench = Bench(monkeypatch, {0: 1.1, 1: 1.1}, stored)
    _, said = bench.run(finalist(0, 1.0), finalist(1, 0.8), left=left)
    assert bench.works[1].seconds == seconds
    assert bench.works[0].seconds == (600.0 if 0 in stored else seconds)
    assert bool(said) == (seconds < 600.0)


def test_without_time_for_a_minute_each_nothing_is_done_and_that_is_said(monkeypatch):
    bench = Bench(monkeypatch, {0: 1.1, 1: 1.1})
    found, said = bench.run(finalist(0, 1.0), finalist(1, 0.8), left=100.0)
    assert not bench.works
    assert found[0].metrics["latency_ms"].value == 1.0
    assert "not kept at work" in said


def test_one_that_breaks_keeps_its_cold_numbers_and_says_why(monkeypatch):
    (one, other), _ = Bench(monkeypatch, {0: None, 1: 2.0}).run(finalist(0, 1.0), finalist(1, 0.8, ratio=0.8))
    assert one.metrics["latency_ms"].value == 1.0
    assert one.deployed.untold == {"sustained": "it broke"}
    assert other.ratio_to_baseline.value == 0.8


LOADS = (SustainedLoad(), SustainedLoad(rate=20.0), SustainedLoad(share=0.5))


@pytest.mark.parametrize(("load", "rate"), zip(LOADS, (0.0, 20.0, 1000.0), strict=True))
def test_a_load_is_a_rate(monkeypatch, load, rate):
    bench = Bench(monkeypatch, {0: 1.0})
    bench.run(finalist(0, 1.0), asked=SustainedAsked(seconds=60.0, load=load))
    assert bench.works[0].rate == pytest.approx(rate)
