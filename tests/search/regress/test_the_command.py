"""`paretune regress` as it is typed, on a study that was really run: against itself, and a smaller night."""

import json
import shutil
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from paretune.profiles.errors import UserError
from paretune.profiles.quantity import Quantity
from paretune.search.record.checks import CHECKED, CheckOutcome
from paretune.search.regress.baseline import BASELINE
from paretune.search.regress.regress import regress as compared
from paretune.search.regress.sources import read_baseline
from study.conftest import STUDY, Bench

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    bench = Bench(tmp_path_factory.mktemp("nights"))
    space = {**STUDY["space"], "student": {"width": [4]}, "precision": ["fp32"]}
    bench.study(budget={"trials": 2}, finalists=1, space=space)
    found = bench.run("run", "blobs.yaml", PARETUNE_TOY="1")
    assert found.returncode == 0, found.stderr
    return bench


@pytest.fixture
def run_dir(bench):
    return bench.root / "runs" / "blobs"


def regress(bench, *arguments):
    return bench.run("regress", *arguments, PARETUNE_TOY="1")


def test_a_run_passes_against_itself_and_its_bundle(run_dir):
    for baseline in (run_dir, run_dir / "bundle"):
        found = compared(run_dir, baseline)
        assert found.having(CheckOutcome.PASSED)
        assert found.exit_code == 0


def test_artifacts_side_by_side_are_compared_by_what_they_take_now(run_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("PARETUNE_TOY", "1")
    monkeypatch.setattr("paretune.search.regress.beside.ROUNDS", 9)
    found = compared(run_dir, run_dir / "bundle", ["latency 90 %"], side_by_side=True)
    checks = {one.metric: one for one in found.checks if one.subject.startswith("what is shipped")}
    assert checks["latency_ms"].outcome is CheckOutcome.PASSED
    assert 0.3 < checks["latency_ms"].change.value < 3
    assert "latency_ratio" not in checks
    damaged = shutil.copytree(run_dir / "bundle", tmp_path / "bundle")
    (damaged / json.loads((damaged / "manifest.json").read_text())["artifact"]).write_bytes(b"other")
    with pytest.raises(UserError):
        compared(run_dir, damaged, side_by_side=True)


def test_a_night_with_a_smaller_file_fails_in_json_and_junit(bench, run_dir, tmp_path):
    said, junit, night = tmp_path / "said.json", tmp_path / "said.xml", tmp_path / "night.json"
    then = read_baseline(run_dir)
    size = Quantity(value=then.shipped.metrics["size_bytes"].value / 2)
    smaller = replace(then.shipped, metrics={**then.shipped.metrics, "size_bytes": size})
    night.write_bytes(BASELINE.dump_json(replace(then, shipped=smaller)))
    tolerate = ["--tolerate", "latency 3 %", "accuracy 0.2 pt", "size 50 %"]
    found = regress(bench, run_dir, "--against", night, *tolerate, "--json", said, "--junit", junit)
    assert found.returncode == 2, found.stdout + found.stderr
    plain = json.loads(said.read_text())
    assert (plain["passed"], plain["exit_code"]) == (False, 2)
    checked = CHECKED.validate_python(plain)
    (failed,) = checked.having(CheckOutcome.FAILED)
    assert failed.metric == "size_bytes"
    suite = ElementTree.parse(junit).getroot()
    assert int(suite.get("failures")) == len(suite.findall(".//failure")) == 1
    assert int(suite.get("tests")) == len(checked.checks)


def test_what_cannot_be_compared_or_written_ends_with_one_message(bench, run_dir, tmp_path):
    then = run_dir
    damaged = shutil.copytree(then / "bundle", tmp_path / "bundle")
    (damaged / "manifest.json").write_text("{")
    for absent in (tmp_path / "absent", tmp_path / "absent.yaml", tmp_path, damaged):
        for pair in ((then, absent), (absent, then)):
            with pytest.raises(UserError):
                compared(*pair)
    found = regress(bench, then, "--against", then, "--junit", tmp_path)
    assert found.returncode == 1
    assert found.stderr.startswith("error: ")
    assert "Traceback" not in found.stderr
