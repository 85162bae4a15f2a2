"""A profile, whatever stands in it, is a device or one message with the place: nothing else, and no wait."""

import json
import time
from pathlib import Path

import pytest
import yaml
from fuzz.yaml_texts import contents, written
from hypothesis import given
from paretune.backends.registry import backend_names, offers
from paretune.backends.runner.launch import launch_for
from paretune.profiles import loader
from paretune.profiles.errors import UserError
from paretune.profiles.loader import load_profile
from paretune.profiles.schema import Profile

SECONDS = 5
SHIPPED = [Path(loader.__file__).parent / f"{name}.yaml" for name in ("jetson-orin-nano", "raspberry-pi-4")]
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


@given(content=contents(TEXTS, VALUES))
def test_a_profile_is_a_device_or_one_message(file, content):
    found = read(file, content)
    if isinstance(found, UserError):
        assert str(found).replace("\n", "").isprintable()
        assert len(str(found)) < 20_000
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
