"""A pool of devices in a profile: how each is reached, what is refused, and whom numbers belong to."""

import json

import pytest
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.devices.schema import Profile, SshReach
from paretune.profiles.devices.shown import device_identity
from paretune.profiles.errors import UserError

BOARD = """\
name: my-board
title: My board
cpu:
  model: Some core
  architecture: aarch64
  cores: 4
  threads: 4
  instruction_sets: [neon]
  source: the data sheet
  memory_bytes: {value: 4 GB, source: the data sheet}
"""
REACH = "reach: {kind: ssh, user: me, port: 2222, python: /opt/python}\n"
POOL = "devices: [pi-1, {host: 10.0.0.7, port: 22}, {host: '::1', port: 23, user: other}]\n"


@pytest.fixture
def load(tmp_path):
    def read(text):
        path = tmp_path / "board.yaml"
        path.write_text(text)
        return load_profile(str(path))

    return read


def test_each_device_has_what_all_have_and_what_is_its_own(load):
    profile = load(BOARD + POOL + REACH)
    assert profile.pool == ("pi-1", "10.0.0.7:22", "[::1]:23")
    common = {"python": "/opt/python"}
    assert [profile.of_device(name).reach for name in profile.pool] == [
        SshReach(host="pi-1", user="me", port=2222, **common),
        SshReach(host="10.0.0.7", user="me", port=22, **common),
        SshReach(host="::1", user="other", port=23, **common),
    ]
    assert Profile.model_validate_json(profile.model_dump_json()) == profile
    assert load(json.dumps(json.loads(profile.model_dump_json()))) == profile


def test_numbers_belong_to_the_kind(load):
    alone = load(BOARD + "reach: {kind: ssh, host: pi-1}\n")
    pool = load(BOARD + "devices: [pi-1, pi-2]\nreach: {kind: ssh, host: pi-1}\n")
    more = load(BOARD + "devices: [pi-3, pi-2, pi-1]\nreach: {kind: ssh, host: pi-1}\n")
    # Studies that began on the one device go on with all of them.
    assert device_identity(alone) == device_identity(pool) == device_identity(more)
    without, other = (load(BOARD + f"devices: [{d}]\nreach: {{kind: ssh}}\n") for d in ("a", "b, c"))
    assert device_identity(without) == device_identity(other) != device_identity(pool)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("reach: {kind: ssh}\n", "reach: missing key 'host'"),
        ("devices: []\n" + REACH, "devices: needs at least 1 value"),
        ("devices: a\n" + REACH, "devices: should be a list"),
        ("devices: [a, a]\n" + REACH, "names one device twice: a, a"),
        ("devices: [a, {host: A, port: 2222}]\n" + REACH, "names one device twice: a, A:2222"),
        ("devices: [a]\nreach: {kind: local}\n", "reached by ssh, and `reach` is of kind local"),
        ("devices: [a]\n", "reached by ssh, and `reach` is of kind none"),
        ("devices: [a, {hots: b}]\n" + REACH, r"devices\.1\.hots: unknown key 'hots'; did you mean 'host'\?"),
        ("devices: ['a b']\n" + REACH, r"line \d+, column 11: devices\.0: not one host alone"),
        ("devices: [7]\n" + REACH, r"devices\.0: "),
    ],
)
def test_what_is_no_pool_is_refused_with_its_place(load, text, message):
    with pytest.raises(UserError, match=message):
        load(BOARD + text)


def test_a_device_has_to_be_one_of_them(load):
    pool = load(BOARD + POOL + REACH)
    for name in ("", "pi-2"):
        with pytest.raises(UserError, match=r"pi-1, 10\.0\.0\.7:22"):
            pool.of_device(name)
    alone = load(BOARD + "reach: {kind: ssh, host: pi-1}\n")
    assert alone.of_device("") == alone
    assert alone.pool == ()
    with pytest.raises(UserError, match="no device 'pi-1'"):
        alone.of_device("pi-1")
