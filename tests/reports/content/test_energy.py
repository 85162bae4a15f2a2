"""Energy and cost in a report and in explain."""

from dataclasses import replace

from paretune.reports.content.energy import energy_lines, energy_section
from paretune.reports.content.views import DASH
from paretune.reports.pages.explain import explain
from paretune.search.ranking.reading import read
from paretune.search.record.deployed import Deployed
from paretune.search.record.energy import MeteredEnergy
from paretune.search.record.evaluation import Quantity

TOLD = MeteredEnergy(
    in_all_mj=Quantity(value=4.0, low=3.9, high=4.1),
    idle_w=1.5,
    meter="hwmon",
    rail="VDD_IN",
    scope="module",
    windows=6,
    window_s=2.0,
    verdict="quiet",
)
ENERGY = {"energy_mj": Quantity(value=2.5, low=2.4, high=2.6)}
COST = {"cost_per_million_usd": Quantity(value=0.12, provenance="derived", how="by the price")}


def reading_of(study, *told):
    """The study, with deployed and further metrics of its finalists in their order."""
    finalists = [
        replace(one, deployed=deployed, metrics={**one.metrics, **metrics})
        for one, (deployed, metrics) in zip(study.finalists, told, strict=False)
    ]
    return read(replace(study, finalists=(*finalists, *study.finalists[len(finalists) :])))


def test_no_meter_and_no_price_is_no_section(study):
    assert energy_section(read(study)) is None
    assert energy_lines(study, study.finalists[0].number) == []


def test_a_section_says_what_was_read_and_what_it_covers(study):
    loud = replace(TOLD, verdict="not quiet: at rest, VDD_IN moved")
    why = Deployed(energy=TOLD, untold={"energy_mj": "not distinguishable from idle"})
    told = [(Deployed(energy=TOLD), ENERGY), (Deployed(energy=loud), ENERGY), (why, {})]
    found = energy_section(reading_of(study, *told))
    first, second, third = (one.number for one in study.finalists[:3])
    by_number = {row.number: [cell.text for cell in row.cells] for row in found.rows}
    assert by_number[first] == ["2.5 mJ", "4 mJ", "1.5 W", "6 x 2 s"]
    assert by_number[third][0] == DASH
    assert found.title == "Energy"
    assert "hwmon VDD_IN (module)" in found.intro
    assert {line.partition(":")[0] for line in found.lines} == {f"#{second}", f"#{third}"}


def test_figures_of_two_meters_are_said_to_be_no_comparison(study):
    other = replace(TOLD, scope="board", rail="supply")
    both = [(Deployed(energy=one), ENERGY) for one in (TOLD, other)]
    found = energy_section(reading_of(study, *both))
    assert any("cannot be compared" in line for line in found.lines)


def test_cost_alone_is_a_section_and_marked_as_derived(study):
    found = energy_section(reading_of(study, (Deployed(), COST)))
    assert found.title == "Cost"
    assert found.rows[0].cells[0].text == "0.12 USD"
    assert "derived" in found.rows[0].cells[0].note


def test_one_trial_is_explained_with_its_meter(study):
    first = study.finalists[0].number
    (said,) = energy_lines(reading_of(study, (Deployed(energy=TOLD), ENERGY)).record, first)
    assert "hwmon VDD_IN (module)" in said
    assert "1.5 W" in said
    assert "hwmon VDD_IN" in explain(reading_of(study, (Deployed(energy=TOLD), ENERGY)), first)
