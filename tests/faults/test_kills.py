"""Kills at random moments of a whole study, as `benchmarks/faults` has many of, and what its checks find."""

import json
import random
import shutil
import sqlite3
import time
from contextlib import closing

import pytest
from study.conftest import STUDY, Bench

from benchmarks.faults.checks import Seen, check_all, check_end, entries_in, told_in
from benchmarks.faults.site import DRIVER, GROUP, Site, kill, unkilled

pytestmark = pytest.mark.slow

SIX = {**STUDY, "budget": {"trials": 6}}
NOTHING = {"lost": [], "corrupt": [], "twice": []}


@pytest.fixture(scope="module")
def killed(tmp_path_factory, warm):
    """A study that was killed at two moments, resumed, and ended; and what was seen of it."""
    root = Bench(tmp_path_factory.mktemp("kills")).root
    site, seen, rng, hits = Site(root, root / "log", SIX, warm), Seen(), random.Random(7), 0
    for victim in (DRIVER, GROUP):
        process = site.start("run", site.study)
        time.sleep(rng.uniform(1, 4))
        hits += kill(process, victim, rng)
        found, _ = check_all(site, seen)
        assert found.plain() == NOTHING
    assert hits
    code = unkilled(site, "run", site.study)
    assert code == 0, site.said()
    assert check_end(site, seen, code).plain() == NOTHING
    return site, seen


def test_nothing_is_lost_corrupt_or_made_twice(killed):
    site, _ = killed
    report = json.loads((site.report / "report.json").read_text())["record"]
    assert report["counters"]["complete"] == 6
    assert report["finalists"]


@pytest.fixture
def copied(killed, tmp_path):
    """The same on a copy of what lies on disk, to be damaged."""
    site, seen = killed
    shutil.copytree(site.folder, tmp_path / "copy")
    other = Site(tmp_path / "copy", tmp_path / "copy" / "log", SIX)
    copied = Seen(told=dict(seen.told))
    check_all(other, copied)
    return other, copied


def test_a_lost_trial_a_number_told_twice_and_a_changed_one_are_found(copied):
    site, seen = copied
    with closing(sqlite3.connect(site.database)) as base, base:
        first, *_, last = sorted(told_in(base))
        base.execute("UPDATE trials SET state = 'RUNNING' WHERE number = ?", (last,))
        base.execute("INSERT INTO trials (number, study_id, state) VALUES (?, 1, 'FAIL')", (first,))
        base.execute(
            "UPDATE trial_user_attributes SET value_json = replace(value_json, '0', '1')"
            " WHERE key = 'evaluation' AND trial_id = (SELECT min(trial_id) FROM trials WHERE number = ?)",
            (first,),
        )
    found, _ = check_all(site, seen)
    assert {text.partition(":")[0] for text in found.lost} >= {f"trial {first}", f"trial {last}"}
    assert f"trial number {first}" in found.twice


def test_a_remade_entry_a_changed_file_and_half_a_bundle_are_found(copied):
    site, seen = copied
    gone, changed, remade = sorted(entries_in(site.store))[:3]
    shutil.rmtree(gone)
    (changed / "more").write_text("a file of nobody's")
    text = (remade / "manifest.json").read_text()
    (remade / "manifest.json").unlink()
    (remade / "manifest.json").write_text(text)
    (site.bundle / "run.py").write_text("half")
    (site.report / "trials.csv").write_text("trial\n0")
    found, _ = check_all(site, seen)
    assert len(found.lost) == len(found.twice) == 1
    assert {text.partition(":")[0].split()[0] for text in found.corrupt} == {"entry", "bundle", "trials.csv"}
