"""The probed machine: this one for real, and recorded trees of others."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest
from paretune.backends.registry import probes
from paretune.profiles.devices.gpus import parse_gpus, probe_gpus
from paretune.profiles.devices.host import Probe, default_cache, measured_figures, probe_host
from paretune.profiles.devices.machine import parse_sysctl, read_machine, sysctl_instruction_sets
from paretune.profiles.devices.schema import LocalReach, Profile
from paretune.profiles.errors import UserError
from paretune.profiles.precision import Precision

PI_5_CPUINFO = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp
CPU implementer\t: 0x41
CPU architecture: 8
CPU part\t: 0xd0b

"""
XEON_CPUINFO = """processor\t: 0
model name\t: Some Xeon
flags\t\t: fpu sse sse4_1 avx f16c fma avx2 avx512f avx512_vnni amx_int8
"""


@pytest.fixture
def tree(tmp_path):
    """Writes files under a root that stands for another machine's; returns the root."""
    root = tmp_path / "root"

    def write(files):
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return root

    return write


def topology(*cores):
    places = {}
    for cpu, core in enumerate(cores):
        folder = f"sys/devices/system/cpu/cpu{cpu}/topology"
        places |= {f"{folder}/physical_package_id": "0\n", f"{folder}/core_id": f"{core}\n"}
    return places


MEMINFO = {"proc/meminfo": "MemTotal:        8000000 kB\nMemFree: 1 kB\n"}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """This machine's profile, measured once, and the file that keeps its figures."""
    cache = tmp_path_factory.mktemp("cache") / "folder" / "figures.json"
    return probe_host(cache=cache, probes=probes()), cache


def test_this_machine(measured):
    profile, _ = measured
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert profile.name == "host"
    assert profile.reach == LocalReach()
    assert 1 <= profile.cores <= profile.threads <= usable
    assert profile.cpu.memory_bytes.value > 2**28
    assert {"avx2", "neon"} & set(profile.instruction_sets)
    fp32 = profile.cpu.peaks_gop_per_s[Precision.FP32]
    assert 0.5 < fp32.value < 1000
    assert fp32.source.startswith("measured here by numpy")
    assert "sgemm 1024, one thread, best of" in fp32.source
    assert 0.1 < profile.cpu.bandwidth_gb_per_s.value < 2000
    assert profile.cpu.peak_cores == 1
    assert Profile.model_validate_json(profile.model_dump_json()) == profile


def test_int8_is_measured_by_the_runtime_where_it_is_installed(measured):
    pytest.importorskip("onnxruntime")
    peaks = measured[0].cpu.peaks_gop_per_s
    assert "onnxruntime" in peaks[Precision.INT8].source
    assert peaks[Precision.INT8].value > 0.3 * peaks[Precision.FP32].value


def test_figures_are_kept(measured, tmp_path):
    cache = tmp_path / "figures.json"
    kept = json.loads(measured[1].read_text())
    kept["fp32"]["value"] = 12345.0
    cache.write_text(json.dumps(kept))
    assert probe_host(cache=cache).cpu.peaks_gop_per_s[Precision.FP32].value == 12345.0
    assert [path.name for path in measured[1].parent.iterdir()] == ["figures.json"]


@pytest.mark.parametrize(
    "damage", ['{"fp32": {"val', '{"fp32": {"value": 3}}', '{"fp33": {"value": 3, "source": "x"}}']
)
def test_a_damaged_file_is_measured_anew(measured, tmp_path, damage):
    cache = tmp_path / "figures.json"
    cache.write_text(damage)
    peaks = probe_host(cache=cache, probes=probes()).cpu.peaks_gop_per_s
    assert set(peaks) == set(measured[0].cpu.peaks_gop_per_s)
    assert set(json.loads(cache.read_text())) == {*map(str, peaks), "bandwidth"}


@pytest.mark.parametrize(
    "said", ["[1]", "3", "{", '{"fp33": {}}', '{"int8": 3}', '{"int8": {"value": -1}}', "{}"]
)
def test_a_probe_that_says_nonsense_is_done_without(tmp_path, monkeypatch, said):
    fp32 = {"fp32": {"value": 5.0, "source": "ours"}}
    monkeypatch.setattr(
        "paretune.profiles.devices.host._run",
        lambda program: fp32 if program.name == "bench.py" else json.loads(program.read_text()),
    )
    right = {name: {"value": 7.0, "source": "theirs"} for name in ("int8", "fp32")}
    programs = [tmp_path / "nonsense.py", tmp_path / "right.py"]
    for program, text in zip(programs, (said, json.dumps(right)), strict=True):
        program.write_text(text)
    found = [Probe(program=program, packages=("numpy",)) for program in programs]
    figures = measured_figures(None, found)
    assert {name: figure.value for name, figure in figures.items()} == {"fp32": 5.0, "int8": 7.0}


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path):
    (tmp_path / "file").write_text("")
    profile = probe_host(cache=tmp_path / "file" / "figures.json")
    assert profile.cpu.peaks_gop_per_s[Precision.FP32].value > 0


def test_without_measuring_no_file_appears(tmp_path):
    profile = probe_host(measure=False, cache=tmp_path / "figures.json")
    assert profile.cpu.peaks_gop_per_s == {}
    assert profile.cpu.bandwidth_gb_per_s is None
    assert list(tmp_path.iterdir()) == []


def test_the_default_cache_is_the_users_and_belongs_to_the_machine(tmp_path, monkeypatch, tree):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    here = default_cache(read_machine())
    assert here.parent == tmp_path / "paretune"
    root = tree({"proc/cpuinfo": PI_5_CPUINFO, **MEMINFO})
    assert default_cache(read_machine(root, "aarch64", frozenset([0]))) != here


def test_a_recorded_raspberry_pi_5(tree):
    caches = "sys/devices/system/cpu/cpu0/cache"
    root = tree(
        {
            "proc/cpuinfo": PI_5_CPUINFO * 4,
            "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
            **MEMINFO,
            **topology(0, 1, 2, 3),
            f"{caches}/index0/level": "1",
            f"{caches}/index0/type": "Data",
            f"{caches}/index0/size": "64K",
            f"{caches}/index1/level": "1",
            f"{caches}/index1/type": "Instruction",
            f"{caches}/index1/size": "32K",
            f"{caches}/index3/level": "3",
            f"{caches}/index3/type": "Unified",
            f"{caches}/index3/size": "2M",
        }
    )
    profile = probe_host(measure=False, root=root, machine="aarch64", affinity=frozenset(range(4)))
    assert profile.cpu.model == "Raspberry Pi 5 Model B Rev 1.0, Cortex-A76"
    assert profile.instruction_sets == ("neon", "asimdhp", "asimddp")
    assert (profile.cores, profile.threads) == (4, 4)
    assert profile.memory_bytes == 8_000_000 * 1024
    assert (profile.cpu.caches.l1_bytes, profile.cpu.caches.l2_bytes) == (65536, None)
    assert profile.cpu.caches.l3_bytes == 2 * 2**20
    assert not profile.int8_saturates


def test_hyperthreads_are_threads_not_cores(tree):
    root = tree({"proc/cpuinfo": XEON_CPUINFO, **MEMINFO, **topology(0, 0, 1, 1)})
    both = read_machine(root, "x86_64", frozenset(range(4)))
    assert (both.cores, both.threads) == (2, 4)
    one = read_machine(root, "x86_64", frozenset([0, 1]))
    assert (one.cores, one.threads) == (1, 2)
    assert both.instruction_sets == (
        "sse4_1",
        "avx",
        "f16c",
        "fma",
        "avx2",
        "avx512f",
        "avx512_vnni",
        "amx_int8",
    )


@pytest.mark.parametrize(
    "limits",
    [
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/cpu.max": "250000 100000\n",
            "sys/fs/cgroup/a/b/cpu.max": "max 100000\n",
            "sys/fs/cgroup/a/memory.max": "1073741824\n",
        },
        {
            "proc/self/cgroup": "4:memory:/gone/from/here\n1:cpu,cpuacct:/\n0::/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "250000\n",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "1073741824\n",
        },
    ],
    ids=["version 2", "version 1 in a container"],
)
def test_limits_of_a_container_count(tree, limits):
    root = tree({"proc/cpuinfo": XEON_CPUINFO, **MEMINFO, **topology(0, 1, 2, 3), **limits})
    found = read_machine(root, "x86_64", frozenset(range(4)))
    assert (found.cores, found.threads) == (2, 2)
    assert found.memory_bytes == 2**30
    assert "control group" in found.memory_source


def test_a_control_group_without_limits_changes_nothing(tree):
    unlimited = {
        "proc/self/cgroup": "4:memory:/\n1:cpu:/\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    root = tree({"proc/cpuinfo": XEON_CPUINFO, **MEMINFO, **topology(0, 1), **unlimited})
    found = read_machine(root, "x86_64", frozenset([0, 1]))
    assert (found.threads, found.memory_bytes) == (2, 8_000_000 * 1024)


def test_other_processors_are_refused(tree):
    root = tree({"proc/cpuinfo": "processor : 0\nisa : rv64gc\n", **MEMINFO})
    with pytest.raises(UserError, match=r"not supported(?s:.*)riscv64(?s:.*)aarch64"):
        probe_host(measure=False, root=root, machine="riscv64", affinity=frozenset([0]))


def test_apple_silicon_by_sysctl():
    facts = parse_sysctl(
        "hw.memsize: 17179869184\nhw.physicalcpu: 8\nmachdep.cpu.brand_string: Apple M2\n"
        "hw.optional.AdvSIMD: 1\nhw.optional.arm.FEAT_DotProd: 1\nhw.optional.arm.FEAT_I8MM: 1\n"
        "hw.optional.arm.FEAT_FP16: 1\nhw.optional.arm.FEAT_SME: 0\n"
    )
    assert facts["machdep.cpu.brand_string"] == "Apple M2"
    assert sysctl_instruction_sets(facts) == ("neon", "asimdhp", "asimddp", "i8mm")


def test_intel_macs_by_sysctl():
    facts = parse_sysctl(
        "machdep.cpu.features: FPU SSE4.1 AVX1.0 FMA F16C\nmachdep.cpu.leaf7_features: AVX2\n"
    )
    assert sysctl_instruction_sets(facts) == ("sse4_1", "avx", "f16c", "fma", "avx2")


def test_gpus_as_the_tool_lists_them():
    gpus = parse_gpus(
        "NVIDIA H200, 9.0, 143771 MiB\nTesla T4, 7.5, 15360 MiB\nOrin (nvgpu), 8.7, [N/A]\nnoise\n"
    )
    assert [(gpu.model, gpu.sm_name) for gpu in gpus] == [
        ("NVIDIA H200", "sm_90"),
        ("Tesla T4", "sm_75"),
        ("Orin (nvgpu)", "sm_87"),
    ]
    assert gpus[0].memory_bytes.value == 143771 * 2**20
    assert gpus[2].memory_bytes is None
    assert [gpu.nm_sparsity for gpu in gpus] == [True, False, True]


def test_no_tool_or_a_failing_one_means_no_gpu(tmp_path):
    assert probe_gpus(str(tmp_path / "nvidia-smi"), root=tmp_path) == ()
    assert probe_gpus("false", root=tmp_path) == ()


def test_the_gpu_of_this_machine_is_found_where_there_is_one():
    tool = shutil.which("nvidia-smi")
    listed = subprocess.run([tool, "-L"], capture_output=True, text=True, check=False).stdout if tool else ""
    assert len(probe_gpus()) == listed.count("GPU ")


def test_a_jetson_without_the_tool_shares_its_memory(tree):
    root = tree(
        {
            "proc/cpuinfo": PI_5_CPUINFO.replace("0xd0b", "0xd42"),
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
            **MEMINFO,
            **topology(0),
        }
    )
    profile = probe_host(
        measure=False, root=root, machine="aarch64", affinity=frozenset([0]), nvidia_smi=str(root / "none")
    )
    assert (profile.kind, profile.sm, profile.architecture) == ("gpu", "8.7", "aarch64")
    assert profile.memory_bytes == 8_000_000 * 1024
    assert "shared with the CPU" in profile.gpu.memory_bytes.source
