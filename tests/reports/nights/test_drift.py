"""What becomes worse little by little, each night by less than is tolerated."""

from dataclasses import replace

import pytest
from made_nights import a_night
from paretune.profiles.quantity import Quantity
from paretune.reports.nights.drift import BASELINE_FILE, drifted, first_baseline
from paretune.search.checks.tolerances import read_tolerances
from paretune.search.nights.history import NightsFolder
from paretune.search.nights.night import NightStatus
from paretune.search.regress.baseline import BASELINE, Anchor, Baseline, Shippable
from paretune.search.regress.compare import regressed

TOLERANCES = read_tolerances(["latency 3 %"], "accuracy")


def baseline(number, ratio):
    around = Quantity(value=ratio, low=ratio * 0.998, high=ratio * 1.002)
    anchor = Anchor(
        model="m",
        structure="s",
        artifact_key="r",
        backend="ort",
        latency_ms=Quantity(value=2.0, low=1.99, high=2.01),
    )
    shipped = Shippable(number=1, digest="a", title="a", artifact_key="f", metrics={"latency_ratio": around})
    return Baseline(
        source=f"night {number}", study="s", quality="accuracy", workload="digits", profile="host",
        status="met",
        shipped=shipped, anchor=anchor, processes=5, machine={"processor": "one"},
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    """Five good nights, each 2 % slower than the one before."""
    made = NightsFolder(tmp_path / "nights")
    made.path.mkdir()
    for number in range(1, 6):
        text = BASELINE.dump_json(baseline(number, 0.5 * 1.02**number)).decode()
        made.keep(a_night(number), {BASELINE_FILE: text})
    return made


def test_what_no_night_has_lost_all_of_them_have(folder):
    first = first_baseline(folder, folder.read())
    last, now = baseline(5, 0.5 * 1.02**5), baseline(6, 0.5 * 1.02**6)
    tonight = regressed(last, now, TOLERANCES)
    assert tonight.passed
    (line,) = drifted(first, now, TOLERANCES, tonight)
    assert "night 1" in line
    assert "+10.4 %" in line
    assert drifted(last, now, TOLERANCES, tonight) == ()


def test_what_is_told_of_tonight_is_not_told_again(folder):
    first, now = first_baseline(folder, folder.read()), baseline(6, 1.0)
    assert drifted(first, now, TOLERANCES, regressed(baseline(5, 0.55), now, TOLERANCES)) == ()


def test_it_counts_from_what_was_accepted_on_and_passes_over_what_is_damaged(folder):
    (folder.folder(1) / BASELINE_FILE).write_text("{")
    (folder.folder(2) / BASELINE_FILE).unlink()
    assert first_baseline(folder, folder.read()).source == "night 3"
    history = folder.read()
    meant = tuple(replace(one, accepted=one.number == 4) for one in history.nights)
    assert first_baseline(folder, replace(history, nights=meant)).source == "night 4"
    bad = tuple(replace(one, status=NightStatus.REGRESSED) for one in history.nights)
    assert first_baseline(folder, replace(history, nights=bad)) is None
