"""Energy and cost as limit and objective, by the command line and a meter that is simulated."""

import csv
import json

import pytest
import yaml
from paretune.profiles.devices.loader import load_profile
from paretune.search.record.evaluation import Outcome
from paretune.search.run.stored import open_run
from simulated_meter import SimulatedMeter

pytestmark = [pytest.mark.slow, pytest.mark.alone]


def test_a_study_finds_reports_and_explains_what_a_meter_tells(bench):
    profile = load_profile("host").model_dump(mode="json", exclude_none=True)
    profile |= {"name": "my-pc", "price_usd_per_hour": {"value": 0.36, "source": "an invoice"}}
    profile |= {"reach": {"kind": "local"}, "meter": {"kind": "rapl", "root": str(bench.root / "root")}}
    profile["cpu"].pop("peaks_gop_per_s", None)
    (bench.root / "pc.yaml").write_text(yaml.safe_dump(profile))
    study = bench.study(
        profile="pc.yaml",
        space={"student": {"width": [4]}, "precision": ["fp32"], "backend": ["ort"]},
        budget={"trials": 1},
        finalists=1,
        objectives=["accuracy", "energy"],
        constraints=["energy <= 1 J", "cost <= 1 USD"],
    )
    with SimulatedMeter(bench.root / "root", joules=20.0) as meter:
        done = bench.process("run", study)
    assert done.returncode == 0, done.stderr
    record, run = open_run(study)
    complete = [t.evaluation for t in record.trials if t.evaluation.outcome is Outcome.COMPLETE]
    (finalist, *_) = record.finalists
    for one in (*complete, finalist):
        energy = one.metrics["energy_mj"]
        worked = meter.joules * one.metrics["latency_ms"].value  # one core at work, or a little more
        assert 0.5 * worked < energy.value < 2.5 * worked
        assert energy.low < energy.value < one.deployed.energy.in_all_mj.value
        assert one.deployed.energy.by == "rapl package (package)"
        assert one.metrics["cost_per_million_usd"].provenance == "derived"
    assert (complete[0].deployed.energy.windows, finalist.deployed.energy.windows) == (3, 6)
    report = run / "report"
    assert "rapl package (package)" in (report / "report.html").read_text()
    assert "## Energy and cost" in (report / "report.md").read_text()
    rows = list(csv.DictReader((report / "trials.csv").open()))
    assert float(rows[0]["energy_in_all_mj"]) > float(rows[0]["energy_mj"]) > 0
    assert rows[0]["meter"] == "rapl package (package)"
    told = json.loads((report / "report.json").read_text())["record"]["finalists"][0]
    assert told["deployed"]["energy"]["scope"] == "package"
    explained = bench.run("explain", study, finalist.number)
    assert "Energy was read from rapl package (package)" in explained.stdout
    chosen = bench.run("choose", study, "--where", "energy <= 1 nJ")
    assert chosen.returncode == 2, chosen.stderr
