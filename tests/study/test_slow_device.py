"""The budget of time on a device that is slow by a factor of thousands: each run really takes that long."""

import json
import time

import pytest
from paretune.search.run.stored import open_run
from study.sleeping import BACKEND

pytestmark = [pytest.mark.slow, pytest.mark.alone]


WRITING_S = 30.0
"""Of report and bundle, which follow the study, and the end of the process, on a busy machine."""


def study(bench, seconds, **changes):
    space = {
        "student": {"width": [4, 8, 16]},
        "precision": ["fp32", "int8"],
        "backend": [BACKEND],
        "calibration": {"samples": [16]},
    }
    usual = {"processes": 3}  # rounds as studies usually have them
    return bench.study(space=space, budget={"time": f"{seconds} s"}, measure=usual, **changes)


def run(bench, path, factor):
    """Exit status, what was said, and the seconds from the first line on, which is about when the budget's
    time begins: imports come before it."""
    own = {"PARETUNE_LEASE_DIR": str(bench.root), "XDG_CACHE_HOME": str(bench.root)}
    process = bench.command("run", path, TOY_SLOW=str(factor), **own)
    said = process.stderr.readline()
    began = time.monotonic()
    out, err = process.communicate(timeout=240)
    return process.returncode, said + out + err, time.monotonic() - began


def test_the_budget_holds_and_what_was_shortened_is_said(bench):
    path = study(bench, 20)
    status, said, seconds = run(bench, path, 2000)
    assert status == 0, said
    assert seconds < 20 * 7 / 6 + WRITING_S, said
    record, _ = open_run(path)
    assert "budget" in record.stopped
    assert record.finalists
    assert record.timing.shortened
    assert any(finalist.shortened in record.remarks for finalist in record.finalists)
    remembered = json.loads(next((bench.root / "paretune").glob("device-*.json")).read_text())
    assert {"score", "measure", "finalist", "inference"} <= set(remembered["seconds"]["blobs"])


def test_a_budget_that_is_too_small_for_the_reference_is_told_before_it_is_scored(bench):
    status, said, seconds = run(bench, study(bench, 5), 10_000)
    assert status == 1
    assert "Traceback" not in said
    assert "budget" in said
    assert seconds < 120 * 0.3  # what scoring alone would take
