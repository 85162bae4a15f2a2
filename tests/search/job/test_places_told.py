"""What is refused after a study file was read is told with line and column all the same."""

from __future__ import annotations

import pytest
from paretune.profiles.errors import UserError
from paretune.search.job.job import load_job

WORKLOAD = """
import paretune

workload = paretune.Workload(
    name="w", teacher=lambda: None, splits=lambda: None, metric="accuracy", student=lambda width: None
)
"""
STUDY = """\
name: small
workload: work.py
profile: x86-avx2
budget: {trials: 4}
"""


@pytest.fixture
def load(tmp_path):
    (tmp_path / "work.py").write_text(WORKLOAD)

    def read(lines):
        key = lines.split(":")[0]
        kept = [line for line in STUDY.splitlines() if not line.startswith(f"{key}:")]
        (tmp_path / "study.yaml").write_text("\n".join([*kept, lines, ""]))
        return load_job(tmp_path / "study.yaml")

    return read


@pytest.mark.parametrize(
    ("lines", "place"),
    [
        (
            "constraints:\n  - latency <= 5 ms\n  - latncy <= 5 ms",
            "line 7, column 5: constraints.1: unknown metric",
        ),
        ("constraints: latency <= 5", "line 5, column 1: constraints.0: in the limit"),
        (
            "constraints: [latency <= 1 ms, latency >= 2 ms]",
            "line 5, column 1: constraints: these two limits",
        ),
        ("objectives: [accuracy, lateny]", "line 5, column 24: objectives.1: unknown metric"),
        ("prefer: {accuracy: 1, macs: 1}", "line 5, column 1: prefer: a preference for something"),
        (
            "prefer: {latency: 1, latency_ms: 2}",
            "line 5, column 22: prefer.latency_ms: this objective is named twice",
        ),
        ("reference: {size: 5}", "line 5, column 13: reference.size: a unit is missing"),
        ("space: {student: {wdth: [1]}}", "work.py, line 5: space.student: arguments do not fit"),
        ("space: {backend: [nosuch]}", "line 5, column 9: space.backend: unknown backend"),
        ("space: {precision: [as-given]}", "line 5, column 1: space: the space is empty"),
        ("profile: raspberry", "line 4, column 1: profile: unknown profile"),
        ("workload: other.py", "line 4, column 1: other.py: no such workload file"),
        ("workload: work.py:other", "line 4, column 1: work.py:other: no object"),
        ("workload: no.such:thing", "module no.such"),
        ("runs: work.py", "line 5, column 1: runs: a directory is needed here"),
        ("store: work.py/store", "line 5, column 1: store: a directory is needed here"),
        (
            "store: s3://KEY:SECRET@bucket/x",
            "line 5, column 1: store: the URL of a store must have no account",
        ),
        ("store: s3://", "line 5, column 1: store: the URL of a store names no bucket"),
        ("runs: ~nobody-here/runs", "line 5, column 1: runs: no home directory is known"),
    ],
)
def test_a_refusal_has_its_place(load, tmp_path, lines, place):
    with pytest.raises(UserError) as caught:
        load(lines)
    assert place in str(caught.value)
    assert str(tmp_path / "study.yaml") in str(caught.value) or "no.such" in lines or "wdth" in lines


def test_paths_may_begin_at_home(load, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    job = load("runs: ~/runs\nstore: ~/store")
    assert job.places.run_dir == tmp_path / "home" / "runs" / "small"
    assert job.places.store == tmp_path / "home" / "store"


def test_an_object_store_has_a_cache_of_this_machine(load, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    places = load("store: s3://bucket/of/all/").places
    assert places.store_name == places.store_url == "s3://bucket/of/all"
    assert places.store.parent == tmp_path / "cache" / "paretune" / "stores"
    assert places.store.name.startswith("s3-bucket-of-all-")
    assert not places.store.exists()
    assert load("store: s3://bucket/of/others").places.store != places.store


def test_a_profile_named_on_the_command_line_is_told_so(load, tmp_path):
    load("seed: 1")
    for name, message in (("", "must not be empty"), ("nosuch", "--profile: unknown profile")):
        with pytest.raises(UserError, match=message):
            load_job(tmp_path / "study.yaml", name)
