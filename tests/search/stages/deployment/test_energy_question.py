"""The question what an inference takes, by windows that a device tells, and what it costs."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from paretune.backends.energy.chosen import ChosenMeter
from paretune.backends.energy.discover import MeterWish
from paretune.backends.energy.meter import MeterFacts
from paretune.backends.energy.windows import MeterWindow, MeterWindows
from paretune.backends.measure.spread import Spread
from paretune.backends.runner.reading import Reply
from paretune.profiles.errors import StageError
from paretune.profiles.quantity import Quantity
from paretune.search.record.setting import Setting
from paretune.search.stages.deployment.cost import CostQuestion
from paretune.search.stages.deployment.energy import EnergyQuestion, MeterFailedError
from paretune.search.stages.deployment.further import Subject

RAPL = MeterFacts(kind="rapl", rail="package", scope="package", counter=True, every_s=0.005, window_s=0.5)
METER = ChosenMeter(facts=RAPL, wish=MeterWish(kind="rapl", rails=("package",)))
SLOW = replace(METER, facts=replace(RAPL, kind="tegrastats", window_s=10.0))


class Device:
    """The runner of a device whose meter tells 1 W at rest and `busy` at work, and the store."""

    spread = Spread(deviation=0.001, processes=5)
    apart = property(lambda self: self)

    def __init__(self, meter, busy=(4.0, 4.1, 4.2), answer=None, batch=1):
        self.deployment = SimpleNamespace(meter=meter, usual=Setting(threads=1, batch=batch))
        self.busy, self.answer, self.asked_for = busy, answer, []

    def asked(self, stage, version, compiled, backend, parts, ask, setting=None):
        self.asked_for.append(parts)
        return SimpleNamespace(meta=ask(self), stage=stage)

    def ask(self, operation, seconds, body, *, meanwhile):
        assert seconds > 2 * body["windows"] * 0.5
        turns = [MeterWindow(seconds=0.5, joules=0.5, runs=0, readings=99)]
        for number in range(body["windows"]):
            joules = 0.5 * self.busy[number % len(self.busy)]
            turns += [MeterWindow(seconds=0.5, joules=joules, runs=100, readings=99), turns[0]]
        told = {"refused": "", "turns": MeterWindows(turns=tuple(turns)).to_json()}
        body = told if self.answer is None else self.answer(told)
        return Reply(device="d", operation=operation, stage="measure", body=body)


def subject(**said):
    known = {"latency_ms": Quantity(value=5.0, low=4.0, high=6.0)}
    plain = {"compiled": SimpleNamespace(key="k"), "backend": "ort", "rounds": None, "name": "c"}
    return Subject(**{**plain, "known": known, **said})


def test_above_idle_is_the_metric_and_the_rest_the_record():
    found = EnergyQuestion(wanted=True).told(subject(), Device(METER))
    assert found.metrics["energy_mj"].value == pytest.approx(3.1 * 0.5 / 100 * 1e3)
    energy = found.deployed.energy
    assert energy.in_all_mj.value == pytest.approx(4.1 * 0.5 / 100 * 1e3)
    assert (energy.by, energy.idle_w, energy.windows) == ("rapl package (package)", 1.0, 3)


def test_energy_is_that_of_a_sample_whatever_the_batch():
    whole = EnergyQuestion(wanted=True).told(subject(), Device(METER)).metrics["energy_mj"]
    eight = EnergyQuestion(wanted=True).told(subject(), Device(METER, batch=8)).metrics["energy_mj"]
    assert eight.value == pytest.approx(whole.value / 8)
    two = subject(setting=Setting(threads=1, batch=2))
    assert EnergyQuestion(wanted=True).told(two, Device(METER)).metrics["energy_mj"].value == pytest.approx(
        whole.value / 2
    )


def test_without_a_meter_nothing_is_told():
    found = EnergyQuestion(wanted=True).told(subject(thorough=True), Device(None))
    assert (found.metrics, found.deployed.energy, found.deployed.untold) == ({}, None, {})


@pytest.mark.parametrize(
    ("meter", "wanted", "windows"),
    [
        (METER, False, [3]),
        (SLOW, False, []),
        (SLOW, True, [6]),
        (replace(SLOW, named=True), False, [6]),
    ],
    ids=["quick", "slow", "slow and wanted", "slow and named"],
)
def test_finalists_are_asked_where_that_is_quick_or_wanted(meter, wanted, windows):
    device = Device(meter)
    EnergyQuestion(wanted=wanted).told(subject(thorough=True), device)
    assert [parts["windows"] for parts in device.asked_for] == windows


def test_what_cannot_be_told_from_rest_has_no_figure_and_a_reason():
    found = EnergyQuestion(wanted=True).told(subject(), Device(METER, busy=(0.9, 1.1, 1.0)))
    assert "energy_mj" not in found.metrics
    assert "not distinguishable from idle" in found.deployed.untold["energy_mj"]
    assert found.deployed.energy.in_all_mj.value > 0


def test_a_meter_that_fails_says_nothing_about_the_candidate_and_costs_no_finalist_its_numbers():
    device = Device(METER, answer=lambda told: {"refused": "the counter stood still", "turns": []})
    with pytest.raises(MeterFailedError, match="stood still") as error:
        EnergyQuestion(wanted=True).told(subject(), device)
    assert error.value.outside
    found = EnergyQuestion(wanted=True).told(subject(thorough=True), device)
    assert (found.metrics, found.deployed.untold) == ({}, {"energy_mj": "the counter stood still"})


def changed(**values):
    """An answer whose second window is changed so."""

    def answer(told):
        told["turns"][1] = {**told["turns"][1], **values}
        return told

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        changed(joules=float("nan")),
        changed(joules=-1.0),
        changed(joules=1e9),
        changed(seconds=0.0),
        changed(runs=0),
        changed(runs=1.5),
        changed(readings="many"),
        lambda told: {**told, "turns": told["turns"][:-1]},
        lambda told: {**told, "turns": []},
        lambda told: {"turns": told["turns"]},
        lambda told: {**told, "turns": [None] * 7},
    ],
)
def test_nonsense_of_a_device_is_refused(answer):
    with pytest.raises(StageError, match="the answer of d to `energy`"):
        EnergyQuestion(wanted=True).told(subject(), Device(METER, answer=answer))


# -- cost ---------------------------------------------------------------------------------------------


def cost(known, batch=1, price=(0.36, "0.36 USD per hour"), **said):
    found = CostQuestion(price, **said).told(subject(known=known), Device(None, batch=batch))
    return found.metrics.get("cost_per_million_usd")


def test_cost_is_derived_from_latency_and_batch_where_nothing_else_is_known():
    found = cost({"latency_ms": Quantity(value=5.0, low=4.0, high=8.0)})
    assert found.value == pytest.approx(0.5)  # 1e-4 USD a second, 200 inferences in it
    assert (found.low, found.high) == (pytest.approx(0.4), pytest.approx(0.8))
    assert found.provenance == "derived"
    assert "0.36 USD per hour" in found.how
    assert cost({"latency_ms": Quantity(value=5.0)}, batch=10).value == pytest.approx(0.05)


def test_cost_is_derived_from_the_throughput_under_load_where_that_was_measured():
    throughput = Quantity(value=100.0, low=80.0, high=120.0)
    found = cost({"latency_ms": Quantity(value=5.0), "throughput_per_s": throughput})
    assert found.value == pytest.approx(1.0)
    assert found.low < found.value < found.high
    assert "under load" in found.how
    predicted = {
        "latency_ms": Quantity(value=5.0),
        "throughput_per_s": replace(throughput, provenance="derived"),
    }
    assert cost(predicted).value == pytest.approx(0.5)
    assert cost(predicted, by_load=True).value == pytest.approx(1.0)


def test_an_estimate_stays_one_and_without_a_price_there_is_none():
    estimated = {"latency_ms": Quantity(value=5.0, provenance="estimated")}
    assert cost(estimated).provenance == "estimated"
    assert cost(estimated, price=None) is None
    none = {"throughput_per_s": Quantity(value=0.0), "latency_ms": Quantity(value=5.0)}
    assert cost(none) is None
