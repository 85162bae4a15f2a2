"""`paretune regress` as it is typed, on studies that were really run: the same again, and harder data."""

import json
import shutil
import subprocess
from xml.etree import ElementTree

import pytest
from paretune.profiles.errors import UserError
from paretune.search.record.checks import CHECKED, CheckOutcome
from paretune.search.regress.regress import regress as compared
from study.conftest import STUDY, Bench

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """A bench, and the folder with a run of then and one whose data are harder."""
    root = tmp_path_factory.mktemp("nights")
    space = {**STUDY["space"], "student": {"width": [4]}, "precision": ["fp32"]}
    for name, change in (("then", ""), ("harder", "1.6 * ")):
        (root / name).mkdir()
        bench = Bench(root / name)
        bench.study(budget={"trials": 2}, finalists=1, space=space)
        workload = root / name / "blobs.py"
        workload.write_text(workload.read_text().replace("+ rng.normal(", f"+ {change}rng.normal("))
        found = bench.run("run", "blobs.yaml", PARETUNE_TOY="1")
        assert found.returncode == 0, found.stderr
    return bench, root


def regress(nights, *arguments):
    process = nights[0].command("regress", *arguments, PARETUNE_TOY="1")
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def test_the_same_run_passes_against_itself_and_its_bundle(nights):
    then = nights[1] / "then" / "runs" / "blobs"
    for baseline in (then, then / "bundle"):
        found = compared(then, baseline)
        assert found.having(CheckOutcome.PASSED)
        assert found.exit_code == 0


def test_harder_data_fail_in_json_and_junit_with_several_tolerances_after_one_option(nights, tmp_path):
    said, junit = tmp_path / "said.json", tmp_path / "said.xml"
    then, now = (nights[1] / name / "runs" / "blobs" for name in ("then", "harder"))
    tolerate = ["--tolerate", "latency 3 %", "accuracy 0.2 pt", "size 50 %"]
    found = regress(nights, now, "--against", then, *tolerate, "--json", said, "--junit", junit)
    assert found.returncode == 2, found.stdout + found.stderr
    plain = json.loads(said.read_text())
    assert (plain["passed"], plain["exit_code"]) == (False, 2)
    checked = CHECKED.validate_python(
        {name: plain[name] for name in ("of", "against", "checks")}, strict=False
    )
    failed = {(one.subject, one.metric) for one in checked.checks if one.outcome.value == "failed"}
    assert any(metric == "accuracy" for _, metric in failed)
    suite = ElementTree.parse(junit).getroot()
    assert int(suite.get("failures")) == len(failed) == len(suite.findall(".//failure"))
    assert int(suite.get("tests")) == len(checked.checks)


def test_what_cannot_be_compared_or_written_ends_with_one_message(nights, tmp_path):
    then = nights[1] / "then" / "runs" / "blobs"
    damaged = shutil.copytree(then / "bundle", tmp_path / "bundle")
    (damaged / "manifest.json").write_text("{")
    for absent in (tmp_path / "absent", tmp_path / "absent.yaml", tmp_path, damaged):
        for pair in ((then, absent), (absent, then)):
            with pytest.raises(UserError):
                compared(*pair)
    found = regress(nights, then, "--against", then, "--junit", tmp_path)
    assert found.returncode == 1
    assert found.stderr.startswith("error: ")
    assert "Traceback" not in found.stderr
