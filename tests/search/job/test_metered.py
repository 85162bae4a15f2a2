"""What a study names and its device cannot tell is refused before anything is trained."""

import pytest
from paretune.backends.energy.discover import MetersFound, MeterWish, look
from paretune.backends.energy.meter import Unreadable
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.devices.metering import MeterSection
from paretune.profiles.errors import UserError
from paretune.profiles.text.figures import Figure
from paretune.search.job.metered import check_price, meter_of
from paretune.search.record.energy import MeteredEnergy
from paretune.search.record.evaluation import Evaluation, Objective, Quantity, TrialRecord
from paretune.search.record.limits import parse_limit
from paretune.search.run.one_meter import check_one_meter
from recorded_meters import ina3221

ENERGY = (parse_limit("energy <= 3 mJ", "accuracy"),)
COST = (parse_limit("cost <= 0.2 USD", "accuracy"),)
OBJECTIVE = (Objective(metric="energy_mj", higher_is_better=False),)
BROKEN = Unreadable(kind="rapl", rail="package", reason="permission denied", remedy="run as root")


def device(**said):
    return load_profile("jetson-orin-nano").model_copy(update=said)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (MetersFound(), "has no meter"),
        (MetersFound(unreadable=(BROKEN,)), "permission denied"),
        (None, "does not know of meters"),
    ],
    ids=["none", "unreadable", "an old runner"],
)
def test_energy_without_a_meter_is_refused_with_the_reason(found, said):
    with pytest.raises(UserError, match=f"energy cannot be measured, because .*{said}") as error:
        meter_of(device(), found, ENERGY, ())
    assert (error.value.place, error.value.remedy != "") == ("constraints", True)
    with pytest.raises(UserError) as error:
        meter_of(device(), found, (), OBJECTIVE)
    assert error.value.place == "objectives"
    assert meter_of(device(), found, (), ()) is None


def test_the_meter_that_the_profile_names_is_taken(tmp_path):
    root = str(ina3221(tmp_path))
    found = look(MeterWish(root=root))
    assert meter_of(device(), found, ENERGY, ()).facts.rail == "VDD_IN"
    section = MeterSection(kind="hwmon", rail=("VDD_SOC",), root=root, window="5 s")
    named = meter_of(device(meter=section), found, (), ())
    assert (named.facts.rail, named.facts.scope, named.named, named.least_s) == ("VDD_SOC", "rail", True, 5.0)
    assert named.body(3)["most_s"] >= 5.0
    with pytest.raises(UserError, match="no meter 'hwmon VDD_GPU'"):
        meter_of(device(meter=MeterSection(kind="hwmon", rail=("VDD_GPU",))), found, ENERGY, ())


def figure(value):
    return Figure(value=value, source="an invoice")


def test_cost_without_a_price_is_refused_with_the_key_that_is_missing():
    bare = device(price_usd=None)
    for profile, key in ((bare, "price_usd_per_hour"), (device(price_usd=figure(500)), "lifetime_h")):
        with pytest.raises(UserError, match=key):
            check_price(profile, COST, ())
        check_price(profile, ENERGY, OBJECTIVE)
    check_price(device(price_usd=figure(500), lifetime_h=figure(26280)), COST, ())
    check_price(device(price_usd=None, price_usd_per_hour=figure(0.5)), COST, ())


def test_a_study_goes_on_with_the_meter_by_which_it_has_measured(tmp_path, complete):
    meter = meter_of(device(), look(MeterWish(root=str(ina3221(tmp_path)))), ENERGY, ())

    def trial(rail):
        by = {"meter": "hwmon", "rail": rail, "scope": "module", "windows": 3, "window_s": 2.0}
        energy = MeteredEnergy(in_all_mj=Quantity(value=1.0), idle_w=1.0, **by)
        return complete(energy)

    check_one_meter(meter, [trial("VDD_IN")])
    check_one_meter(None, [trial("POM_5V_IN")])
    with pytest.raises(UserError, match="another meter") as error:
        check_one_meter(meter, [trial("POM_5V_IN")])
    assert "POM_5V_IN" in error.value.remedy


@pytest.fixture
def complete():
    """A trial that has such energy."""
    from paretune.profiles.precision import Precision
    from paretune.search.record.candidate import Candidate
    from paretune.search.record.deployed import Deployed
    from paretune.search.record.evaluation import Outcome

    def made(energy):
        candidate = Candidate(backend="ort", precision=Precision.FP32)
        evaluation = Evaluation(
            candidate=candidate, outcome=Outcome.COMPLETE, deployed=Deployed(energy=energy)
        )
        return TrialRecord(number=0, evaluation=evaluation, started=0.0, seconds=1.0)

    return made
