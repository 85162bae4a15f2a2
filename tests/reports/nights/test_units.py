"""The timer and the service that docs/nights.md names, read by systemd itself; and the page of cron."""

import shutil
import subprocess
import sys
from pathlib import Path

import paretune

UNITS = Path(paretune.__file__).parent / "ci" / "systemd"


def test_systemd_has_nothing_to_say_of_the_units(tmp_path):
    command = shutil.which("paretune", path=str(Path(sys.executable).parent))
    for unit in UNITS.iterdir():
        text = unit.read_text().replace("/srv/paretune/venv/bin/paretune", command)
        (tmp_path / unit.name).write_text(text)
    units = [str(tmp_path / f"paretune-nightly@digits.{kind}") for kind in ("service", "timer")]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_service_gives_the_night_more_time_than_it_gives_itself():
    service = (UNITS / "paretune-nightly@.service").read_text()
    assert '--within "4 h"' in service
    assert "TimeoutStartSec=5h" in service
