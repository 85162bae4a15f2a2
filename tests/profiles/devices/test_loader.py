"""Profile files: the shipped ones are complete, and each mistake of a user's file gets one clear message."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import paretune
import pytest
import yaml
from paretune.profiles.devices.loader import load_profile, shipped_profiles
from paretune.profiles.devices.schema import (
    Caches,
    Cpu,
    Figure,
    Gpu,
    NoReach,
    Profile,
    SshReach,
    TensorRTVersions,
)
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision
from pydantic import BaseModel

BOARD = """
name: my-board
title: My board
cpu:
  model: Some core
  architecture: aarch64
  cores: 4
  threads: 4
  instruction_sets: [asimddp, neon]
  source: the data sheet
  memory_bytes: {value: 4 GB, source: the data sheet}
  caches: {l1_bytes: 64 KiB, l2_bytes: 524288, source: the data sheet}
  peaks_gop_per_s:
    fp32: {value: 100, source: "derived: something"}
    int8: {value: 400.5, source: "derived: something", note: four times}
reach: {kind: ssh, host: board.local, user: me, port: 2222, python: /opt/venv/bin/python}
"""


@pytest.fixture
def load(tmp_path):
    def read(text):
        (tmp_path / "board.yaml").write_text(text)
        return load_profile("board.yaml", base=tmp_path)

    return read


def figures_in(value):
    """Every Figure anywhere inside a model."""
    if isinstance(value, Figure):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from figures_in(getattr(value, name))
    elif isinstance(value, dict):
        for item in value.values():
            yield from figures_in(item)


def test_the_devices_that_come_with_it():
    assert shipped_profiles() == (
        "jetson-orin-nano",
        "nvidia-a10",
        "nvidia-h100",
        "nvidia-h200",
        "nvidia-t4",
        "pixel-8",
        "raspberry-pi-4",
        "raspberry-pi-5",
        "x86-avx2",
        "x86-avx512-vnni",
    )


@pytest.mark.parametrize("name", shipped_profiles())
def test_a_shipped_profile_loads_and_every_figure_has_a_source(name):
    profile = load_profile(name)
    assert profile.name == name
    assert isinstance(profile.reach, NoReach)
    figures = list(figures_in(profile))
    assert len(figures) >= 2
    for figure in figures:
        assert len(figure.source) > 15
    section = profile.gpu or profile.cpu
    assert Precision.FP32 in section.peaks_gop_per_s or not section.peaks_gop_per_s
    assert profile.memory_bytes >= 4 * 10**9


def test_derived_figures_are_the_product_they_name():
    """ "derived: 4 bytes x 3.2 GT/s (...)" must come to the value, to a per cent."""
    checked = 0
    for name in shipped_profiles():
        for figure in figures_in(load_profile(name)):
            factors = figure.source.removeprefix("derived: ").split(" x ")
            numbers = [re.match(r"\d+(\.\d+)?", factor) for factor in factors]
            if figure.source.startswith("derived: ") and len(factors) > 1 and " + " not in figure.source:
                product = math.prod(float(number[0]) for number in numbers)
                assert figure.value == pytest.approx(product, rel=0.01), figure.source
                checked += 1
    assert checked >= 10


def test_peaks_of_a_section_grow_as_types_get_narrower():
    for name in shipped_profiles():
        profile = load_profile(name)
        for section in (profile.cpu, profile.gpu):
            peaks = section.peaks_gop_per_s if section else {}
            order = [peaks[p].value for p in (Precision.FP32, Precision.FP16, Precision.INT8) if p in peaks]
            assert order == sorted(order), name


def test_a_board_of_ones_own(load):
    profile = load(BOARD)
    assert (profile.kind, profile.architecture, profile.cores) == ("cpu", "aarch64", 4)
    assert profile.instruction_sets == ("neon", "asimddp")
    assert profile.memory_bytes == 4_000_000_000
    assert profile.cpu.caches.l1_bytes == 65536
    assert profile.cpu.peaks_gop_per_s[Precision.INT8].value == 400.5
    assert profile.reach == SshReach(host="board.local", user="me", port=2222, python="/opt/venv/bin/python")


@pytest.mark.parametrize(
    ("written", "host"),
    [
        ("'[::1]'", "::1"),
        ("'::1'", "::1"),
        ("'[fe80::1%eth0]'", "fe80::1%eth0"),
        ("192.168.1.7", "192.168.1.7"),
        ("my_board-2.local", "my_board-2.local"),
    ],
)
def test_a_host_is_what_ssh_takes(load, written, host):
    assert load(BOARD.replace("board.local", written)).reach.host == host


def test_a_profile_survives_as_json(load):
    profile = load(BOARD)
    assert Profile.model_validate_json(profile.model_dump_json()) == profile


def test_an_unquoted_compute_capability_is_understood(load):
    gpu = "gpu: {model: A card, sm: 8.6, source: the data sheet}"
    profile = load(f"name: card\ntitle: A card\n{gpu}\n")
    assert (profile.sm, profile.gpu.sm_name, profile.gpu.nm_sparsity) == ("8.6", "sm_86", True)
    assert (profile.kind, profile.architecture, profile.memory_bytes) == ("gpu", "cuda", 0)


@pytest.mark.parametrize(
    "written", ["8.65", "86", "0.1", "8", "8.6", '"8.6"', "12.0", "9", '"8.65"', "sm_86", "8.6e0"]
)
def test_a_compute_capability_is_what_is_written_or_refused(load, written):
    text = f"name: card\ntitle: A card\ngpu: {{model: A card, sm: {written}, source: the data sheet}}\n"
    number = written.strip('"')
    if number in ("8.65", "86", "0.1", "sm_86"):
        with pytest.raises(
            UserError, match=r"line 3, column \d+: gpu\.sm: no compute capability; accepted: .*8\.6"
        ):
            load(text)
    else:
        assert float(load(text).sm) == float(number)


def test_the_digest_belongs_to_what_computes_the_numbers(load):
    board = load(BOARD)
    assert board.instruction_digest == load(BOARD.replace("Some core", "Other")).instruction_digest
    assert board.instruction_digest != load(BOARD.replace("[asimddp, neon]", "[neon]")).instruction_digest
    digests = {load_profile(name).instruction_digest for name in shipped_profiles()}
    assert len(digests) == len(shipped_profiles()) - 1  # H100 and H200 compute the same


def test_the_digest_is_pinned():
    """Stored scores are keyed by it: a change here makes all of them unusable."""
    assert load_profile("x86-avx2").instruction_digest == "8f55cd821f46"
    assert load_profile("nvidia-t4").instruction_digest == "136d2d7429bd"


def test_only_x86_without_vnni_saturates():
    assert [n for n in shipped_profiles() if load_profile(n).int8_saturates] == ["x86-avx2"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  cores: 4", "  coers: 4", r"2 problems(?s:.*)cpu.cores: missing key(?s:.*)did you mean 'cores'\?"),
        ("title: My board", "titel: My board", "did you mean 'title'"),
        (
            "  cores: 4",
            "  cores: four",
            r"board.yaml, line 7, column 3: cpu.cores: should be a valid integer(?s:.*)'four'",
        ),
        ("  cores: 4", "  cores: 0", r"cpu.cores: should be greater than 0"),
        ("  cores: 4", "  cores: 8", r"cpu: 4 threads are fewer than 8 cores"),
        ("  threads: 4", "  threads: 4\n  peak_cores: 5", "peak_cores is 5, but there are 4 cores"),
        ("architecture: aarch64", "architecture: armv7", r"cpu.architecture: (?s:.*)'armv7'(?s:.*)x86-64"),
        ("[asimddp, neon]", "[asimddpp]", r"unknown instruction set 'asimddpp'; did you mean 'asimddp'\?"),
        ("[asimddp, neon]", "[avx2]", "instruction sets avx2 do not exist on aarch64"),
        ("  source: the data sheet\n", "", "cpu.source: missing key 'source'"),
        ("value: 4 GB, source: the data sheet", "value: 4 GB", "cpu.memory_bytes.source: missing key"),
        (
            "value: 4 GB, source: the data sheet",
            "value: 4 GB, source: ' '",
            "memory_bytes.source: must not be",
        ),
        ("value: 4 GB", "value: 4 Gb", r"cpu.memory_bytes.value: unknown unit 'Gb'; accepted: B, kB"),
        ("l1_bytes: 64 KiB", "l1_bytes: big", "cpu.caches.l1_bytes: not a number of bytes"),
        (
            "value: 100,",
            "value: .nan,",
            "line 14, column 19: cpu.peaks_gop_per_s.fp32.value: .nan is not a finite number",
        ),
        ("value: 100,", "value: -1,", "cpu.peaks_gop_per_s.fp32.value: should be greater than 0"),
        ("    int8:", "    int9:", r"cpu.peaks_gop_per_s.int9: not one of(?s:.*)int8-dynamic"),
        ("kind: ssh, host", "kind: ssh, hots", r"reach.hots: unknown key 'hots'; did you mean 'host'\?"),
        ("kind: ssh", "kind: adb", r"reach: not one of the accepted words(?s:.*)adb(?s:.*)local, ssh, none"),
        *[
            ("host: board.local", f"host: {host!r}", "reach.host: not one host alone")
            for host in (
                "-oProxyCommand=x",
                "",
                "a b",
                "a\nb",
                "board:22",
                "[::1]:22",
                "pi@board",
                "[board]",
                "ssh://board",
                "pi@[fe80::1%eth0]:22",
                "[[::1]]",
                "::1%",
                "::1%a;b",
                "a;b",
                "$(id)",
            )
        ],
        ("value: 4 GB, source: the data sheet}", "}", r"2 problems(?s:.*)cpu.memory_bytes.value: missing"),
        ("{value: 4 GB, source: the data sheet}", "4 GB", "cpu.memory_bytes: should be a mapping of keys"),
        ("port: 2222", "port: 99999", "reach.port: should be less than 65536"),
        ("user: me", "user: -l", "reach.user: is no user"),
        ("user: me", 'user: "a b"', "reach.user: is no user"),
        ("/opt/venv/bin/python", "-c", "reach.python: is no path on the device"),
        ("/opt/venv/bin/python", "~/venv/bin/python", "reach.python: begins with '~'"),
        ("/opt/venv/bin/python", '"a\\nb"', r"reach.python: has the character U\+000A"),
        ("value: 4 GB", "value: 1.5 B", "memory_bytes.value: a part of a byte"),
        ("value: 4 GB", "value: 0.5", "memory_bytes.value: is no whole number of bytes"),
        ("value: 4 GB", "value: 1e30 GB", "memory_bytes.value: more than any device has"),
        ("cores: 4", "cores: 4.0", "cpu.cores: should be a valid integer"),
        ("cores: 4", "cores: 04", "cpu.cores: should be a valid integer"),
        ("name: my-board", "name: My Board", "name: is no name"),
        (
            "name: my-board",
            "name: my-board\nname: other",
            "line 3, column 1: key 'name' twice",
        ),
        ("title: My board", "title: [My board", "line 4, column 4: not valid YAML"),
        (BOARD, "", "not a mapping of keys to values"),
        (BOARD, "- a list", r"not a mapping of keys to values(?s:.*)list"),
        (BOARD, "name: a\ntitle: b", "needs a `cpu` section, a `gpu` section, or both"),
    ],
)
def test_each_mistake_is_named_with_its_place(load, old, new, message):
    assert old in BOARD
    with pytest.raises(UserError, match=message) as caught:
        load(BOARD.replace(old, new, 1))
    assert "board.yaml" in str(caught.value)


def test_all_problems_of_a_file_come_in_one_message(load):
    text = BOARD.replace("cores: 4", "cores: many").replace("title:", "tilte:").replace("2222", "no")
    with pytest.raises(UserError, match="4 problems in this profile") as caught:
        load(text)
    for path in ("cpu.cores", "tilte", "reach.port"):
        assert f": {path}: " in str(caught.value)
    assert "    title: missing key 'title'" in str(caught.value)


def test_unknown_names_get_a_suggestion_and_the_list():
    with pytest.raises(UserError, match=r"unknown profile 'rasberry-pi4'; did you mean 'raspberry-pi-4'\?"):
        load_profile("rasberry-pi4")
    with pytest.raises(UserError, match=r"accepted: host, jetson-orin-nano, (?s:.*)path of a profile file"):
        load_profile("something else")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none.yaml: the profile cannot be read \(No such file"):
        load_profile("./none.yaml", base=tmp_path)


def test_a_file_that_is_not_text(tmp_path):
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="not UTF-8 text"):
        load_profile(str(tmp_path / "x.yaml"))


def test_profiles_cannot_be_changed():
    profile = load_profile("nvidia-t4")
    with pytest.raises(ValueError, match="frozen"):
        profile.name = "other"


def test_the_page_for_users_lists_every_key():
    page = (Path(paretune.__file__).parent / "docs" / "profiles.md").read_text()
    for model in (Profile, Cpu, Gpu, Caches, TensorRTVersions, SshReach, Figure):
        for name in model.model_fields:
            assert f"`{name}`" in page, name
    for block in page.split("```yaml")[1:]:
        data = yaml.safe_load(block.split("```")[0])
        assert Profile.model_validate_json(json.dumps(data)).cpu
