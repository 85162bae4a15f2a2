"""The benchmark of `paretune regress`: its goals hold in small, and its figures are written."""

import json

import numpy as np
import pytest

from benchmarks.regress import simulated
from benchmarks.regress.__main__ import main, smallest
from benchmarks.regress.nights import main as record


def test_both_goals_hold_at_three_per_cent_with_the_spread_that_was_recorded():
    (found,) = simulated.latency_figures(0, 200, 1, [3]).values()
    assert found["unchanged"]["alarms"] <= 1
    assert found["slower"]["latency failed"] >= 95
    assert smallest([{**{str(one): found for one in (0.5, 1, 2, 5, 10)}, "3": found}]) == 0.5


def test_on_a_machine_of_eight_times_the_spread_it_says_that_it_cannot_tell():
    (found,) = simulated.latency_figures(0, 200, 8, [1]).values()
    assert found["unchanged"]["alarms"] <= 1
    assert found["unchanged"]["latency open"] > 50
    assert found["slower"]["latency passed"] <= 10


def test_a_recorded_file_and_its_figures(tmp_path, capsys):
    rng, nights = np.random.default_rng(0), []
    for _ in range(3):
        at = {name: base * np.exp(rng.normal(0, 0.003, 40)) for name, base in
              (("same", 250), ("slower", 265), ("reference", 380))}  # fmt: skip
        rounds = {name: values.round(3).tolist() for name, values in at.items()}
        nights.append({"kind": "ort", "load": 1.0, "processes": 5, "quickest": rounds, "typical": rounds})
    (tmp_path / "nights.json").write_text(json.dumps({"nights": nights}))
    out = tmp_path / "figures.json"
    few = ["--count", "4", "--seeds", "1"]
    assert main(["--out", str(out), "--nights", str(tmp_path / "nights.json"), *few]) == 0
    found = json.loads(out.read_text())
    assert found["real"]["ort"]["at"]["3"]["unchanged"]["alarms"] == 0
    assert found["real"]["ort"]["spread"]["slowdown"] == pytest.approx(6, abs=1)
    assert "recorded, ort" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.alone
def test_a_real_night_is_recorded_once(tmp_path):
    out = tmp_path / "nights.json"
    few = ["--out", str(out), "--nights", "1", "--kinds", "ort", "--processes", "3"]
    assert record(few) == 0
    (night,) = json.loads(out.read_text())["nights"]
    assert night["kind"] == "ort"
    assert set(night["quickest"]) == {"same", "slower", "reference"}
    assert record(few) == 0
    assert json.loads(out.read_text())["nights"] == [night]
