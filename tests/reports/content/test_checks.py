"""What was checked, in a terminal, as Markdown and HTML, and as JSON."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.quantity import Quantity
from paretune.reports.content.checks import check_rows, conclusion
from paretune.reports.pages.checks import checks_html, write_checked
from paretune.reports.terminal.checks import show_checked
from paretune.search.record.checks import (
    CHECKED,
    DECISIONS,
    FILES,
    Advice,
    Checked,
    CheckOutcome,
    MetricCheck,
    NextStep,
    Scale,
)

SLOWER = MetricCheck(
    subject="trial <3>",
    metric="latency_ratio",
    outcome=CheckOutcome.FAILED,
    expected=Quantity(value=0.41, low=0.4, high=0.42),
    found=Quantity(value=0.62, low=0.6, high=0.63),
    change=Quantity(value=1.51, low=1.4, high=float("inf")),
    scale=Scale.RATIO,
    tolerated=1.03,
    p_value=1e-5,
)
WORSE = MetricCheck(
    subject="trial <3>",
    metric="accuracy",
    outcome=CheckOutcome.INCONCLUSIVE,
    change=Quantity(value=-0.01, low=-0.02, high=0.001),
    tolerated=-0.002,
    detectable=-0.03,
)
MOVED = replace(WORSE, outcome=CheckOutcome.WARNING)
WHOLE = MetricCheck(
    subject="trial <3>",
    metric=FILES,
    outcome=CheckOutcome.PASSED,
    found=Quantity(value=0.0),
    change=Quantity(value=0.0),
    scale=Scale.COUNT,
)
ABSENT = MetricCheck(
    subject="the other", metric=DECISIONS, outcome=CheckOutcome.SKIPPED, reason="old | bundle"
)


def _checked(*checks: MetricCheck) -> Checked:
    return Checked(of="b", against="its manifest", checks=checks)


def test_numbers_have_units_signs_and_intervals() -> None:
    slower, worse, *_ = check_rows(_checked(SLOWER, WORSE))
    assert (slower.found, slower.change, slower.tolerated) == (
        "0.62 (0.6 to 0.63)",
        "+51 % (+40 % to inf times)",
        "+3 %",
    )
    assert (worse.change, worse.tolerated) == ("-1 pt (-2 to +0.1 pt)", "-0.2 pt")
    assert "-3 pt" in worse.verdict
    assert "1e-05" in slower.verdict


def test_every_outcome_is_said_and_marked() -> None:
    for outcome in CheckOutcome:
        checked = _checked(replace(WORSE, outcome=outcome, reason="why"))
        assert "why" in check_rows(checked)[0].verdict
        assert show_checked(checked) == (2 if outcome is CheckOutcome.FAILED else 0)


@pytest.mark.parametrize(
    ("checks", "word"),
    [
        ((SLOWER, WHOLE), "FAILED"),
        ((WHOLE, WORSE), "PASSED"),
        ((WHOLE, MOVED), "WARNING"),
        ((ABSENT,), "NOTHING"),
    ],
)
def test_the_conclusion_says_what_failed(checks: tuple[MetricCheck, ...], word: str) -> None:
    said = conclusion(_checked(*checks))
    assert said.startswith(word)
    assert ("latency" in said) == (word == "FAILED")


def test_each_form_has_every_check_and_escapes_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    advice = (Advice(subject="trial <3>", step=NextStep.PIN, reason="*why*"),)
    checked = Checked(of="b", against="a", checks=(SLOWER, WORSE, WHOLE, ABSENT), advice=advice)
    page = checks_html(checked)
    assert "trial <3>" not in page
    assert page.count("<tr") == 1 + len(checked.checks)
    assert show_checked(checked) == 2
    assert capsys.readouterr().out.splitlines()[-1].startswith("FAILED")


def test_json_is_strict_and_says_the_verdict(tmp_path: Path) -> None:
    write_checked(_checked(SLOWER), tmp_path / "found.json")
    told = json.loads((tmp_path / "found.json").read_text(), parse_constant=pytest.fail)
    assert (told["passed"], told["exit_code"], told["checks"][0]["change"]["high"]) == (False, 2, None)
    again = CHECKED.validate_json((tmp_path / "found.json").read_bytes())
    assert (again.exit_code, again.checks[0].tolerated) == (2, 1.03)
    with pytest.raises(UserError):
        write_checked(again, tmp_path / "absent" / "found.json")


def test_a_command_that_checks_nothing_does_not_load_what_checks() -> None:
    heavy = "{'numpy', 'pydantic', 'scipy', 'jinja2'}"
    script = f"import paretune.cli, sys; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
