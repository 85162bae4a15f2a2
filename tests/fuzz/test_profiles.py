"""A profile, whatever stands in it, is a device or one message with the place: nothing else, and no wait."""

import json
import time
from pathlib import Path

import pytest
import yaml
from fuzz.yaml_texts import contents, is_one_message, mostly, section, visible, written
from hypothesis import given
from hypothesis import strategies as st
from paretune.backends.registry import backend_names, offers
from paretune.backends.runner.launch import launch_for
from paretune.profiles import errors
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.devices.schema import Profile
from paretune.profiles.errors import UserError

SECONDS = 5
SHIPPED = [Path(errors.__file__).with_name(f"{name}.yaml") for name in ("jetson-orin-nano", "raspberry-pi-4")]
TEXTS = [
    """\
name: my-board
title: My board
cpu:
  model: Some core
  architecture: aarch64
  cores: 4
  threads: 4
  instruction_sets: [asimddp, neon]
  source: &sheet the data sheet
  memory_bytes: {value: 4 GB, source: *sheet}
  bandwidth_gb_per_s: {value: 12.8, source: *sheet, note: little}
  caches: {l1_bytes: 64 KiB, l2_bytes: 524288, l3_bytes: 1 MiB, source: the data sheet}
  peak_cores: 2
  peaks_gop_per_s:
    fp32: {value: 100, source: "derived: something"}
    int8-dynamic: {value: 4e2, source: "derived: something"}
gpu:
  model: Some card
  sm: 8.7
  source: the data sheet
  memory_bytes: {value: 4 GB, source: *sheet}
  peaks_gop_per_s: {fp16: {value: 5, source: x}}
  tensorrt: {minimum: 8.5.3, maximum: '10.0', source: x}
power_w: {value: 15, source: *sheet}
price_usd: {value: 55, source: *sheet}
reach: {kind: ssh, host: "[fe80::1%eth0]", user: me, port: 2222, python: /opt/venv/bin/python, workdir: work}
notes: [one, two]
""",
    *(path.read_text() for path in SHIPPED),
]
texts = mostly("some text", "x", visible.filter(str.strip), "a: b # c", odd=["", " "])
counts = mostly(st.integers(1, 64), odd=[0, -1, 2.0])
sizes = mostly("4 GB", "512 KiB", "7.6 GiB", 10**9, odd=["1.5 B", 0.5, "1e30 GB", "5 Gb"])
precisions = st.sampled_from(["fp32", "fp16", "int8", "int8-dynamic", "fp8"])


def figure(numbers):
    return section({"value": numbers, "source": texts}, note=texts)


peaks = mostly(
    st.dictionaries(precisions, figure(mostly(st.floats(1e-3, 1e6), st.integers(1, 9))), max_size=3)
)
capability = st.builds("{}.{}".format, st.integers(5, 12), st.integers(0, 9))
sm = mostly(capability, capability.map(float), 8.6, 9, odd=[8.65, 86, "sm_86", "8.10", "٨.٦"])
sets = st.sampled_from(["neon", "asimddp", "i8mm", "sve"])
cpu = section(
    {
        "model": texts,
        "architecture": mostly("aarch64", odd=["x86-64"]),
        "cores": mostly(st.integers(1, 4)),
        "threads": mostly(st.integers(4, 9)),
        "instruction_sets": mostly(st.lists(sets, max_size=3), ["neon"]),
        "source": texts,
        "memory_bytes": figure(sizes),
    },
    bandwidth_gb_per_s=figure(mostly(st.floats(0.1, 1e4))),
    caches=section({"source": texts}, l1_bytes=sizes, l2_bytes=sizes, l3_bytes=sizes),
    peak_cores=mostly(1),
    peaks_gop_per_s=peaks,
)
versions = mostly("8.5.3", "10", "10.0", odd=[10.0, 8.5])
gpu = section(
    {"model": texts, "sm": sm, "source": texts},
    memory_bytes=figure(sizes),
    peaks_gop_per_s=peaks,
    tensorrt=section({"source": texts}, minimum=versions, maximum=versions),
)
hosts = mostly(
    "board.local",
    "::1",
    "[::1]",
    "[fe80::1%eth0]",
    "10.0.0.7",
    odd=["-oProxyCommand=x", "a b", "me@x", "x:22"],
)
reach = st.one_of(
    mostly({"kind": "none"}, {"kind": "local"}, odd=[{"kind": "adb"}]),
    section(
        {"kind": mostly("ssh"), "host": hosts},
        user=mostly("me", "a@b", odd=["-l", "a b"]),
        port=mostly(st.integers(1, 65_535), odd=[0, 70_000]),
        python=mostly("python3", "/opt/venv/bin/python", "$(x)", odd=["-c", "~/python", "a b"]),
        workdir=mostly("work", "/tmp/x", ";x", odd=["-", "~/x", "\0"]),
    ),
)
GRAMMAR = st.fixed_dictionaries(
    {"name": mostly("board", "a.b-c_1"), "title": texts},
    optional={
        "cpu": cpu,
        "gpu": gpu,
        "power_w": figure(counts),
        "reach": reach,
        "notes": mostly(st.lists(texts)),
    },
)
VALUES = [yaml.safe_load(text) for text in TEXTS]


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("profiles") / "board.yaml"


def read(file: Path, content: bytes) -> Profile | UserError:
    file.write_bytes(content)
    started = time.process_time()
    try:
        return load_profile(str(file))
    except UserError as error:
        return error
    finally:
        assert time.process_time() - started < SECONDS


@given(content=contents(TEXTS, VALUES, GRAMMAR))
def test_a_profile_is_a_device_or_one_message(file, content):
    found = read(file, content)
    if isinstance(found, UserError):
        assert is_one_message(str(found))
        assert str(file) in found.place
    else:
        used(found)
        again(file, found)


def again(file: Path, profile: Profile) -> None:
    """What was read, written and read again is the same."""
    file.write_text(written(json.loads(profile.model_dump_json())), encoding="utf-8")
    assert load_profile(str(file)) == profile


def used(profile: Profile) -> None:
    """All that is asked of a profile has an answer."""
    assert len(profile.instruction_digest) == 12
    assert profile.memory_bytes >= 0
    for name in backend_names():
        assert offers(name, profile)
    if profile.reach.kind == "ssh":
        command = launch_for(profile).command(["--memory", "1"])
        assert all(word.isprintable() and word for word in command)
        host = next(word for word in command if word.endswith(launch_for(profile).host))
        assert not host.startswith("-")


@pytest.mark.parametrize("text", TEXTS)
def test_what_the_fuzz_starts_from_is_right(file, text):
    profile = read(file, text.encode())
    assert isinstance(profile, Profile), profile
    used(profile)
    again(file, profile)
