"""The measurement benchmark runs end to end and writes what it promises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_the_benchmark_writes_its_figures(tmp_path):
    out = tmp_path / "figures.json"
    command = [sys.executable, "benchmarks/measurement.py", "--out", str(out)]
    quick = ["--repeats", "2", "--aa", "6", "--seconds", "0.1"]
    done = subprocess.run(
        [*command, *quick],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["ratio_sd_percent"] > 0
    assert found["sequential_mean_sd_percent"] > 0
    assert found["sequential_median_sd_percent"] > 0
    assert found["aa_coverage_percent"] * 6 / 100 == pytest.approx(
        round(found["aa_coverage_percent"] * 6 / 100)
    )
    assert len(found["raw"]) == 2
    assert "A/A" in done.stdout
