"""Two studies that want one board at once: they measure in turn, never at the same time, and both end."""

import os
import subprocess
import sys
from itertools import pairwise

import pytest

# The command line, which writes down when this process measures.
LOGGED = """
import os, sys, time
from paretune.backends.measure import latency
from paretune.search.stages.device import runners

def measure(*arguments, **others):
    started = time.monotonic()
    try:
        return latency.measure(*arguments, **others)
    finally:
        with open("measured", "a") as log:
            log.write(f"{started} {time.monotonic()} {sys.argv[-1]}\\n")

runners.measure = measure
from paretune.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.alone
def test_two_studies_on_one_board_measure_in_turn(bench, native_board):
    native_board.set(PARETUNE_TOY="1", PYTHONPATH=os.environ.get("PYTHONPATH", ""))
    profile = native_board.write_profile(bench.root)
    space = {"student": {"width": [4]}, "precision": ["fp32"], "backend": ["toy"]}
    shared = {
        "profile": str(profile),
        "space": space,
        "finalists": 1,
        "budget": {"trials": 1},
    }
    started = []
    for name in ("one", "two"):
        path = bench.study(name, store=f"store-{name}", **shared)
        command = [sys.executable, "-c", LOGGED, "run", str(path)]
        started.append(subprocess.Popen(command, cwd=bench.root, env={**os.environ, "OMP_NUM_THREADS": "1"}))
    assert [process.wait(240) for process in started] == [0, 0]
    log = [line.split() for line in (bench.root / "measured").read_text().splitlines()]
    measured = sorted((float(start), float(end), who) for start, end, who in log)
    assert all(end <= start for (_, end, _), (start, _, _) in pairwise(measured))
    order = [who for *_, who in measured]
    assert len(set(order)) == 2
    changes = sum(a != b for a, b in pairwise(order))
    assert changes >= 2  # neither had to wait for the other's end
    waited = [(bench.root / "runs" / name / "report" / "report.md").read_text() for name in ("one", "two")]
    assert any("others had the device" in text for text in waited)
