"""What the tools of boards print, as documentation and public code show it, and what is none of it."""

from __future__ import annotations

import pytest
from paretune.backends.watch import boards
from paretune.backends.watch.state import CAPPED, SOFT_LIMIT, THROTTLED, UNDER_VOLTAGE, Card

ALL = (UNDER_VOLTAGE, CAPPED, THROTTLED, SOFT_LIMIT)


@pytest.mark.parametrize(
    ("printed", "now", "since"),
    [
        ("throttled=0x0\n", (), ()),
        ("throttled=0x50000\n", (), (UNDER_VOLTAGE, THROTTLED)),
        ("throttled=0x50005\n", (UNDER_VOLTAGE, THROTTLED), (UNDER_VOLTAGE, THROTTLED)),
        ("throttled=0xe0008", (SOFT_LIMIT,), (CAPPED, THROTTLED, SOFT_LIMIT)),
        ("throttled=0x20002", (CAPPED,), (CAPPED,)),
        ("0\n", (), ()),
        ("80008\n", (SOFT_LIMIT,), (SOFT_LIMIT,)),
        ("throttled=0xFFFFFFFF", ALL, ALL),
    ],
)
def test_the_bits_of_a_raspberry_pi(printed: str, now: tuple[str, ...], since: tuple[str, ...]) -> None:
    assert boards.throttled_flags(printed) == (now, since)


@pytest.mark.parametrize(
    "printed",
    [
        "",
        "VCHI initialization failed",
        'error=2 error_msg="Invalid arguments"',
        "Can't open device file: /dev/vcio\nTry running with sudo",
        "throttled=",
        "throttled=0x",
        "throttled=0x-1",
        "throttled=0x5000500000000",
        "throttled=0x0\nthrottled=0x5",
        "x" * 100_000,
    ],
)
def test_what_is_no_reading_tells_nothing(printed: str) -> None:
    assert boards.throttled_flags(printed) is None
    assert boards.arm_clock(printed) is None
    assert boards.arm_temperature(printed) is None
    assert boards.nvidia_smi(printed) == ()
    assert boards.power_mode(printed) == ""


@pytest.mark.parametrize(
    ("printed", "mhz"),
    [
        ("frequency(48)=600169920\n", 600.2),
        ("frequency(0)=2400033792", 2400.0),
        ("frequency(45)=0", None),
        ("frequency(48)=99999999999", None),
        ("frequency(48)=", None),
    ],
)
def test_the_clock_that_the_firmware_measures(printed: str, mhz: float | None) -> None:
    assert boards.arm_clock(printed) == mhz


@pytest.mark.parametrize(
    ("printed", "degrees"),
    [("temp=42.8'C\n", 42.8), ("temp=81,2'C", 81.2), ("temp=-4.0'C", -4.0), ("temp=-274.0'C", None)],
)
def test_the_temperature_that_the_firmware_tells(printed: str, degrees: float | None) -> None:
    assert boards.arm_temperature(printed) == degrees


TX1 = (
    "RAM 3468/3983MB (lfb 48x4MB) SWAP 873/8192MB (cached 295MB) cpu [17%,13%,29%,5%]@408 EMC 1%@408 "
    "APE 25 GR3D 3%@76"
)
NANO = (
    "RAM 1923/3964MB (lfb 2x2MB) SWAP 191/1982MB (cached 6MB) IRAM 0/252kB(lfb 252kB) "
    "CPU [5%@1224,4%@1224,off,off] EMC_FREQ 0%@1600 GR3D_FREQ 0%@76 APE 25 PLL@37C CPU@40C PMIC@50C "
    "GPU@40C AO@45C thermal@40C POM_5V_IN 1750/1628 POM_5V_GPU 0/0 POM_5V_CPU 366/406"
)
XAVIER = (
    "07-09-2024 13:31:31 RAM 3168/6851MB (lfb 2x4MB) SWAP 161/3426MB (cached 0MB) "
    "CPU [23%@1397,17%@1192,off] EMC_FREQ 2%@204 GR3D_FREQ 0%@[114] VIC_FREQ 115 APE 150 AUX@45C "
    "CPU@46.5C thermal@45.6C PMIC@50C VDD_IN 2763mW/2846mW"
)
ORIN = (
    "05-09-2026 18:42:06 RAM 18207/62841MB (lfb 466x4MB) SWAP 86/31420MB (cached 0MB) "
    "CPU [14%@2188,46%@1267] EMC_FREQ 3%@2133 GR3D_FREQ 0%@[0,0] NVENC 79%@166 NVDEC off PVA0_FREQ off "
    "APE 174 cpu@52.562C soc2@48.437C CV0@-256C tj@52.562C VDD_GPU_SOC 2412mW/2412mW"
)
ORIN_NANO = (
    "CPU [12%@1510,8%@1510,off] EMC_FREQ 0%@2133 GR3D_FREQ 0%@[305] cpu@45.6C gpu@44.9C tj@45.6C "
    "VDD_IN 4521mW/4498mW"
)


@pytest.mark.parametrize(
    ("line", "clocks", "gpu", "warm"),
    [
        (TX1, {"0": 408, "1": 408, "2": 408, "3": 408}, 76, {}),
        (NANO, {"0": 1224, "1": 1224}, 76, {"PLL": 37, "CPU": 40, "GPU": 40, "AO": 45, "thermal": 40}),
        (XAVIER, {"0": 1397, "1": 1192}, 114, {"AUX": 45, "CPU": 46.5, "thermal": 45.6}),
        (ORIN, {"0": 2188, "1": 1267}, None, {"cpu": 52.6, "soc2": 48.4, "tj": 52.6}),
        (ORIN_NANO, {"0": 1510, "1": 1510}, 305, {"cpu": 45.6, "gpu": 44.9, "tj": 45.6}),
        (ORIN_NANO[:14], {}, None, {}),
        (ORIN_NANO[:13] + "]", {"0": 1510}, None, {}),
        ("CPU [100%@99999] CPU@1000000000C GPU@-274C", {}, None, {}),
        ("", {}, None, {}),
        ("\x00\xff CPU [] GR3D_FREQ @ @C 12@C", {}, None, {}),
        ("CPU [" + "1%@" * 30_000, {}, None, {}),
    ],
)
def test_a_line_of_tegrastats(
    line: str, clocks: dict[str, float], gpu: float | None, warm: dict[str, float]
) -> None:
    found = boards.tegrastats(line)
    assert found["clock_mhz"] == clocks
    assert found["temperature_c"] == warm, "the sensor that always tells the same is none"
    assert [one.clock_mhz for one in found["gpus"]] == ([gpu] if gpu else [])


@pytest.mark.parametrize(
    ("printed", "mode"),
    [
        ("NV Power Mode: MAXN\n0\n", "MAXN"),
        ("NVPM WARN: fan mode is not set!\nNV Power Mode: 15W\n2", "15W"),
        ("5", ""),
    ],
)
def test_the_power_mode_of_a_jetson(printed: str, mode: str) -> None:
    assert boards.power_mode(printed) == mode


def test_cards_by_nvidia_smi() -> None:
    quiet = "NVIDIA A10, 1695, 61, Not Active, Not Active, Not Active, Not Active\n"
    hot = '"Tesla T4, 16GB", 585, 91, Active, Active, Not Active, Active\n'
    unknown = "Orin (nvgpu), [N/A], N/A, [N/A], [N/A], [Not Supported], [N/A]\n"
    found = boards.nvidia_smi(quiet + hot + unknown)
    assert found[0] == Card(name="NVIDIA A10", clock_mhz=1695, temperature_c=61, slowed=())
    assert (found[1].name, len(found[1].slowed or ())) == ("Tesla T4, 16GB", 3)
    assert found[2] == Card(name="Orin (nvgpu)"), "what it does not tell is absent"


@pytest.mark.parametrize(
    "printed",
    [
        'Field "clocks_event_reasons.hw_slowdown" is not a valid field to query.\n',
        "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n",
        "No devices were found\n",
        "NVIDIA A10, 1695, 61, Not Active\n",
    ],
)
def test_an_error_of_nvidia_smi_is_no_card(printed: str) -> None:
    assert boards.nvidia_smi(printed) == ()


def test_both_names_of_the_reasons_can_be_asked_for() -> None:
    new, old = boards.SMI_QUERIES
    assert [name.replace("event", "throttle") for name in new] == list(old)
