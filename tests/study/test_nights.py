"""A short week on the toy backend: quiet, slower with other code, and broken."""

import pytest
from paretune.reports.nights.nightly import nightly
from paretune.search.nights.history import RUNS
from paretune.search.nights.night import FactKind, NightStatus
from paretune.search.record.checks import CheckOutcome

pytestmark = pytest.mark.slow

S = NightStatus
SPACE = {
    "student": {"width": [4]},
    "precision": ["int8"],
    "backend": ["toy"],
    "calibration": {"samples": [16]},
}
MEASURE = {"rounds": 9, "finalist_rounds": 9, "processes": 1}


@pytest.fixture(scope="module")
def week(tmp_path_factory, bench_in, shared_store):
    """Three nights: the second with other code, on a device on which int8 takes half as long again."""
    bench = bench_in(tmp_path_factory.mktemp("week"))
    study = bench.study(space=SPACE, budget={"trials": 2}, measure=MEASURE, finalists=1, store=shared_store)
    code = bench.root / "blobs.py"
    nights, whole = [nightly(study)], code.read_text()
    code.write_text(whole + "# tidied\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TOY_SLOWER", "1.5")
        nights.append(nightly(study, tolerate=["latency 3 %"]))
    code.write_text(whole.replace("def teacher():\n", "def teacher():\n    raise RuntimeError('gone')\n"))
    nights.append(nightly(study))
    return nights


def test_each_night_ends_as_it_must(week):
    ends = [(done.night.number, done.night.status, done.exit_code) for done in week]
    assert ends == [(1, S.GOOD, 0), (2, S.REGRESSED, 2), (3, S.FAILED, 1)]


def test_a_regression_is_found_in_what_is_deployed_and_in_what_was_found(week):
    night = week[1].night
    for checked in (night.verified, night.regressed):
        failed = {check.metric for check in checked.having(CheckOutcome.FAILED)}
        assert failed & {"latency_ratio", "latency_ms"}  # by itself, where the reference is another one
        assert "accuracy" not in failed


def test_other_code_is_a_run_of_its_own_compared_with_the_last_good_night(week):
    second = week[1].night
    assert second.baseline == 1
    assert {fact.kind for fact in second.facts} >= {FactKind.CODE, FactKind.DATA, FactKind.VERSIONS}
    assert "+# tidied" in (week[1].folder / "page.html").read_text()
    runs = {path.name for path in (week[1].folder.parent / RUNS).iterdir()}
    assert runs == {week[0].night.run, second.run}
    assert (week[1].folder / "bundle" / "manifest.json").is_file()


def test_a_broken_workload_keeps_nobody_from_checking_what_is_deployed(week):
    night = week[2].night
    assert "gone" in night.reason
    assert night.verified.passed
    assert night.baseline == 1
    assert any("blobs.py" in change for change in night.changes)
