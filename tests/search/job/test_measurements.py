"""Files of what was timed on a device by hand: what is read, and what is refused with its line."""

import json

import pytest
from paretune.profiles.errors import UserError
from paretune.search.job.measurements import read_measurements

KEY = "5effc5ad270d09cd"


def written(folder, text, name="pi.csv"):
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_table_names_trials_or_artifacts(tmp_path):
    text = f"\ufefftrial, artifact ,latency_ms,note\n12,,4.31,\n\n#17,{KEY.upper()},2080 us,warm\n"
    first, second = read_measurements(written(tmp_path, text))
    assert (first.trial, first.artifact, dict(first.metrics)) == (12, "", {"latency_ms": 4.31})
    assert (second.trial, second.artifact) == (17, KEY)
    assert second.metrics["latency_ms"] == pytest.approx(2.08)
    assert second.place.endswith("line 4")


def test_objects_are_read_as_well(tmp_path):
    rows = [{"artifact": KEY, "latency_ms": 2, "memory_bytes": "3 MB"}, {"trial": 3, "energy_mj": 0.4}]
    found = read_measurements(written(tmp_path, json.dumps(rows), "pi.json"))
    assert [dict(row.metrics) for row in found] == [
        {"latency_ms": 2.0, "memory_bytes": 3e6},
        {"energy_mj": 0.4},
    ]


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("", "line 1", "what was measured"),
        ("trial\n3\n", "line 1", "what was measured"),
        ("latency_ms\n3\n", "line 1", "what was measured"),
        ("trial,latency\n1,2\n", "line 1", "unknown column 'latency'; did you mean 'latency_ms'"),
        ("trial,trial,latency_ms\n1,1,2\n", "line 1", "twice"),
        ("trial,latency_ms\n", "pi.csv", "no measurement"),
        ("trial,latency_ms\n1,2\n1,2,3\n", "line 3", "another length"),
        ("trial,latency_ms\n1,\n", "line 2", "no number"),
        ("trial,latency_ms\n,2\n", "line 2", "names no artifact"),
        ("trial,latency_ms\n1.5,2\n", "line 2, trial", "no trial"),
        ("trial,latency_ms\n-1,2\n", "line 2, trial", "no trial"),
        ("trial,latency_ms\n\u0661,2\n", "line 2, trial", "no trial"),
        ("artifact,latency_ms\nabc,2\n", "line 2, artifact", "no artifact"),
        ("artifact,latency_ms\nxyzxyzxyz,2\n", "line 2, artifact", "no artifact"),
        ("trial,latency_ms\n1,fast\n", "line 2, latency_ms", "not a time"),
        ("trial,latency_ms\n1,2 MB\n", "line 2, latency_ms", "unknown unit"),
        ("trial,latency_ms\n1,0\n", "line 2, latency_ms", "cannot have been measured"),
        ("trial,latency_ms\n1,-2\n", "line 2, latency_ms", "cannot have been measured"),
        ("trial,latency_ms\n1,nan\n", "line 2, latency_ms", "cannot have been measured"),
        ("trial,latency_ms\n1,1e300\n", "line 2, latency_ms", "cannot have been measured"),
        ("trial,latency_ms\n1,1_000\n", "line 2, latency_ms", "cannot have been measured"),
        ('trial,latency_ms\n1,"2\n', "line 2", "no CSV"),
        (b"trial,latency_ms\n1,\xff\n", "pi.csv", "no text"),
    ],
)
def test_what_is_wrong_in_a_table_is_told_with_its_line(tmp_path, text, place, problem):
    with pytest.raises(UserError, match=problem) as caught:
        read_measurements(written(tmp_path, text))
    assert caught.value.place.endswith(place)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{}", "list of objects"),
        ("[1]", "list of objects"),
        ("[{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no measurement"),
        ('[{"trial": true, "latency_ms": 1}]', "no trial"),
        ('[{"trial": 1, "latency_ms": true}]', "no number"),
        ('[{"trial": 1, "latency_ms": [1]}]', "no number"),
        ('[{"trial": 1, "latency_ms": NaN}]', "cannot have been measured"),
        ('[{"trial": 1, "latency_ms": 1' + "0" * 400 + "}]", "cannot have been measured"),
        ('[{"artifact": 12345678, "latency_ms": 1}]', "no artifact"),
        ('[{"trial": 1}]', "what was measured"),
    ],
)
def test_what_is_wrong_in_objects_is_told(tmp_path, text, problem):
    with pytest.raises(UserError, match=problem):
        read_measurements(written(tmp_path, text, "pi.json"))


@pytest.mark.parametrize("name", ["missing.csv", ".", "pipe"])
def test_what_is_no_file_is_refused_at_once(tmp_path, name):
    import os

    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="cannot be read"):
        read_measurements(tmp_path / name)
