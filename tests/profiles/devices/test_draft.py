"""A profile drafted from what a board says: figures with their source, and a file that is read back."""

import pytest
from paretune.profiles.devices.draft import as_file, drafted, name_of
from paretune.profiles.devices.gpus import jetson
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.devices.machine import Machine
from paretune.profiles.devices.schema import SshReach

REACH = SshReach(host="board.local", user="pi", port=2222)
PI = Machine(
    model="Raspberry Pi 5 Model B Rev 1.0, Cortex-A76",
    architecture="aarch64",
    cores=4,
    threads=4,
    instruction_sets=("neon", "asimdhp", "asimddp"),
    memory_bytes=8454144 * 1024,
    memory_source="MemTotal of /proc/meminfo",
    cache_bytes={1: 65536, 2: 524288, 3: 2097152},
)


def read_back(profile, tmp_path):
    path = tmp_path / "it.yaml"
    path.write_text(as_file(profile, "2026-11-29"))
    return load_profile(str(path))


def test_a_drafted_profile_is_read_back_as_it_was(tmp_path):
    made = drafted("my-pi", "Raspberry Pi 5 Model B", PI, (), REACH, "read on the board")
    found = read_back(made, tmp_path)
    assert found == made
    assert found.cpu.memory_bytes.value == PI.memory_bytes
    assert found.cpu.caches.l2_bytes == 524288
    assert not found.cpu.peaks_gop_per_s
    assert {found.cpu.source, found.cpu.memory_bytes.source, found.cpu.caches.source} == {"read on the board"}
    assert "8256 MiB" in (tmp_path / "it.yaml").read_text()


def test_a_jetson_has_its_gpu_with_the_memory_that_it_shares(tmp_path):
    gpus = jetson("NVIDIA Jetson Orin Nano Developer Kit\0")
    found = read_back(drafted("jetson", "Jetson", PI, gpus, REACH, "read"), tmp_path)
    assert (found.gpu.sm, found.gpu.memory_bytes.value) == ("8.7", PI.memory_bytes)


@pytest.mark.parametrize("text", ["it's: a #board", '"', "no", "1.0", "ä\u2028ö", "- x", "null", "&a *b"])
def test_whatever_a_board_calls_itself_is_a_text(tmp_path, text):
    machine = Machine(**{**vars(PI), "model": text, "cache_bytes": {}, "instruction_sets": ("avx2", "neon")})
    found = read_back(drafted("board", text, machine, (), REACH, "read"), tmp_path)
    assert (found.title, found.cpu.model) == (text, text)
    assert found.instruction_sets == ("neon",)  # an emulator shows the file of its own machine


@pytest.mark.parametrize(
    ("stem", "name"),
    [("My Board", "my-board"), ("ä", "board"), ("-x-", "x"), ("pi.5", "pi.5"), ("", "board")],
)
def test_a_file_gives_its_board_a_name(stem, name):
    assert name_of(stem) == name
