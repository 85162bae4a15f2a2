"""A real night by the steps of the GitHub action, on a toy study."""

import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from action_runner import ActionRun

pytestmark = pytest.mark.slow
TESTS = str(Path(__file__).resolve().parents[1])


def test_a_night_in_ci(bench):
    space = {"student": {"width": [4]}, "precision": ["fp32"], "backend": ["toy"]}
    study = bench.study(space=space, budget={"trials": 2}, finalists=1)
    command = bench.root / "bin" / "paretune"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m paretune.cli "$@"\n')
    command.chmod(0o755)
    told = {"PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": TESTS}
    done = ActionRun(bench.root, {"study": study.name, "tolerate": "latency 50 %"}, told).run()
    assert (done.code, done.output("verdict"), done.output("exit-code")) == (0, "fine", "0"), done.said
    assert done.summary.startswith("#")
    suites = ElementTree.parse(done.output("junit")).getroot()
    assert suites.get("failures") == suites.get("errors") == "0"
    assert (bench.root / "paretune-night" / "page.html").stat().st_size > 1000
