"""The measurement benchmark runs end to end and writes what it promises."""

import json

import pytest

from benchmarks.measurement import main

pytestmark = pytest.mark.alone


@pytest.mark.slow
def test_the_benchmark_writes_its_figures(tmp_path, capsys):
    out = tmp_path / "figures.json"
    assert main(["--out", str(out), "--repeats", "2", "--aa", "6", "--seconds", "0.1"]) == 0
    found = json.loads(out.read_text())
    for way in ("ratio", "sequential_mean", "sequential_median", "sequential_minimum"):
        assert found[f"{way}_sd_percent"] > 0
    held = found["aa_coverage_percent"] * 6 / 100
    assert held == pytest.approx(round(held))
    assert len(found["raw"]) == 2
    assert "A/A" in capsys.readouterr().out
