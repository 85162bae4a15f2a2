"""A look at devices: whole trees of boards, tools that hang, sensors that tell nonsense."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import ModuleType

import pytest
from device_trees import GROUPS_2, processor, tree, zones
from paretune.backends.watch import tools, watcher
from paretune.backends.watch.state import COOLING, SOFT_LIMIT, UNDER_VOLTAGE, Quota, State
from paretune.backends.watch.tools import Tools
from paretune.backends.watch.watcher import EVERY_S, Watcher, within


class Printed(Tools):
    """Tools that print what a board's would; `started` has each that was there."""

    def __init__(self, **prints: str) -> None:
        super().__init__()
        self.prints, self.started = prints, list[str]()

    def printed(self, name: str, *arguments: str, first_line: bool = False) -> str:
        plain = name.replace("-", "_")
        said = self.prints.get("_".join((plain, *arguments[:1])), self.prints.get(plain, ""))
        self.started += [name] if said else []
        return said


PI_5 = {
    **processor(dict.fromkeys(range(4), 1_500_000)),
    **zones(cpu_thermal=54_350),
    "sys/class/thermal/cooling_device0/type": "pwm-fan\n",
    "sys/class/thermal/cooling_device0/cur_state": "3\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "80008\n",
    "sys/class/hwmon/hwmon0/name": "cpu_thermal\n",
    "sys/class/hwmon/hwmon0/temp1_input": "54350\n",
    "proc/loadavg": "0.52 0.40 0.30 1/180 4711\n",
}
SMI = "A10, 210, 99, Not Active, Active, Not Active, Not Active\n"


def test_a_raspberry_pi_by_its_files_alone(tmp_path: Path) -> None:
    tools = Printed(vcgencmd_measure_clock="frequency(0)=1000000000")
    looks = Watcher(tree(tmp_path, PI_5), tools)
    found = looks.look()
    assert found.clock_mhz == {**{str(core): 1500 for core in range(4)}, "arm": 1000}
    assert found.most_mhz["3"] == 2400
    assert (found.governor, found.load, found.hottest_c) == ("ondemand", 0.52, 54.4)
    assert (found.slowed, found.was_slowed) == ((SOFT_LIMIT,), (SOFT_LIMIT,)), "a fan slows nothing"
    assert found.quota is None
    glance = looks.glance([3])
    assert glance.clock_mhz == {"3": 1500}
    assert glance.slowed == (SOFT_LIMIT,)
    assert found.temperature_c.items() >= glance.temperature_c.items()
    assert tools.started == ["vcgencmd"], "a glance starts nothing"


def test_an_older_pi_is_asked_by_its_tool_every_few_seconds(tmp_path: Path) -> None:
    files = {name: text for name, text in PI_5.items() if "firmware" not in name}
    seconds = [0.0]
    tools = Printed(vcgencmd_get_throttled="throttled=0x50001")
    looks = Watcher(tree(tmp_path, files), tools, lambda: seconds[0])
    assert looks.look().slowed == (UNDER_VOLTAGE,)
    for _ in range(10):
        seconds[0] += EVERY_S / 8
        looks.glance([0])
    assert tools.started == ["vcgencmd"] * 2


def test_the_kernel_that_cools_a_processor(tmp_path: Path) -> None:
    device = "sys/class/thermal/cooling_device1"
    files = {**PI_5, f"{device}/type": "thermal-cpufreq-0\n", f"{device}/cur_state": "0\n"}
    del files["sys/devices/platform/soc/soc:firmware/get_throttled"]
    looks = Watcher(tree(tmp_path, files), Printed())
    assert looks.look().slowed == ()
    (tmp_path / device / "cur_state").write_text("2\n")
    assert looks.glance([0]).slowed == (COOLING,)


def test_an_x86_with_counters_and_turbo(tmp_path: Path) -> None:
    count = "sys/devices/system/cpu/cpu{}/thermal_throttle/core_throttle_count"
    files = {
        **processor({0: 3_000_000, 1: 2_900_000}, governor="powersave"),
        "sys/devices/system/cpu/intel_pstate/no_turbo": "1\n",
        count.format(0): "7\n",
        count.format(1): "5\n",
        "sys/class/hwmon/hwmon1/name": "coretemp\n",
        "sys/class/hwmon/hwmon1/temp1_input": "71000\n",
        "sys/class/hwmon/hwmon1/temp1_label": "Package id 0\n",
        "sys/class/hwmon/hwmon1/temp2_input": "1000000000000\n",
        "sys/firmware/acpi/platform_profile": "balanced\n",
    }
    found = Watcher(tree(tmp_path, files), Printed()).look()
    assert found.counts == {"core_throttle_count": 12}
    assert (found.turbo, found.power_mode) == (False, "balanced")
    assert found.temperature_c == {"coretemp Package id 0": 71}
    assert found.slowed is None, "no source tells of now"


def test_a_jetson_by_its_tools_where_no_file_tells(tmp_path: Path) -> None:
    line = "CPU [12%@1510,off] GR3D_FREQ 0%@[305] cpu@45.6C\n"
    found = Watcher(tmp_path, Printed(tegrastats=line, nvpmodel="NV Power Mode: 15W\n")).look()
    assert (found.clock_mhz, found.temperature_c, found.power_mode) == ({"0": 1510}, {"cpu": 45.6}, "15W")
    assert found.gpus[0].clock_mhz == 305


@pytest.mark.parametrize("known", ["clocks_event_reasons", "clocks_throttle_reasons"])
def test_cards_of_drivers_before_and_after_the_names_changed(tmp_path: Path, known: str) -> None:
    class Smi(Printed):
        def printed(self, name: str, *arguments: str, first_line: bool = False) -> str:
            self.started += [name]
            asked = name == "nvidia-smi" and known in arguments[0]
            return SMI if asked else "Field is not a valid field to query."

    tools, seconds = Smi(), [0.0]
    looks = Watcher(tmp_path, tools, lambda: seconds[0])
    assert looks.look().slowing == ("GPU: hardware slowdown for heat",)
    first = tools.started.count("nvidia-smi")
    seconds[0] = 2 * EVERY_S
    assert looks.glance().gpus[0].temperature_c == 99
    assert tools.started.count("nvidia-smi") == first + 1, "what it knows is asked for at once"


def test_nothing_is_made_up_where_nothing_can_be_read(tmp_path: Path) -> None:
    found = Watcher(tmp_path, Printed()).look()
    assert found == State(seconds=found.seconds)
    assert found.to_json() == {"seconds": found.seconds}


@pytest.mark.parametrize("told", ["", "-274000", "1000000000", "NaN", "\x00", "9" * 5000, "12 34"])
def test_a_sensor_that_tells_nonsense_is_absent(tmp_path: Path, told: str) -> None:
    files = {**zones(cpu=50_000, gpu=0), "sys/class/thermal/thermal_zone1/temp": told}
    assert Watcher(tree(tmp_path, files), Printed()).look().temperature_c == {"cpu": 50.0}


def test_zones_that_cannot_be_read_and_those_of_one_name(tmp_path: Path) -> None:
    files = {**zones(cpu=50_000, soc=51_000), "sys/class/thermal/thermal_zone1/type": "cpu\n"}
    here = tree(tmp_path, files)
    (here / "sys/class/thermal/thermal_zone2/temp").mkdir(parents=True)  # to read it fails, as with EINVAL
    (here / "sys/class/thermal/thermal_zone3").symlink_to("nowhere")
    found = Watcher(here, Printed()).look()
    assert found.temperature_c == {"cpu": 50.0, "cpu (thermal_zone1)": 51.0}


def test_many_cores_and_sensors_and_one_that_is_switched_off_meanwhile(tmp_path: Path) -> None:
    files = processor(dict.fromkeys(range(64), 2_000_000))
    files["sys/devices/system/cpu/online"] = "0-31,33-63\n"
    files |= zones(**{f"zone_{number}": 40_000 + number for number in range(200)})
    here = tree(tmp_path, files)
    looks = Watcher(here, Printed())
    found = looks.look()
    assert len(found.clock_mhz) == 63
    assert len(found.temperature_c) <= 64
    (here / "sys/devices/system/cpu/cpu5/cpufreq/scaling_cur_freq").unlink()
    glance = looks.glance([5, 6])
    assert set(glance.clock_mhz) == {"6"}
    assert len(glance.temperature_c) <= 8


def test_a_quota_is_part_of_it_and_all_of_it_survives_as_json(tmp_path: Path) -> None:
    files = {**PI_5, **GROUPS_2, "sys/fs/cgroup/cpu.max": "50000 100000"}
    found = Watcher(tree(tmp_path, files), Printed(nvidia_smi=SMI)).look()
    assert found.quota == Quota(cores=0.5)
    assert State.from_json(json.loads(json.dumps(found.to_json()))) == found
    assert State.from_json({**found.to_json(), "of a later version": 1}) == found


def script(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def counted(monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str) -> list[tuple[object, ...]]:
    """The arguments of each call of a function, which does what it did."""
    calls, plain = list[tuple[object, ...]](), getattr(module, name)

    def told(*arguments: object, **named: object) -> object:
        calls.append(arguments)
        return plain(*arguments, **named)

    monkeypatch.setattr(module, name, told)
    return calls


def test_commands_that_hang_flood_fail_or_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    script(tmp_path, "hangs", "sleep 600 & sleep 600")
    script(tmp_path, "floods", "yes 'temp=1'")
    script(tmp_path, "talks", 'echo "$LC_ALL"; exec sleep 600')
    script(tmp_path, "fails", "echo no >&2; exit 3")
    (tmp_path / "garbage").write_bytes(b"\x7fELF\x00")
    (tmp_path / "garbage").chmod(0o755)
    looks, started = Tools(), counted(monkeypatch, tools, "run")
    monkeypatch.setattr(tools, "LIMIT_S", 0.1)
    assert [looks.printed("hangs") for _ in range(3)] == [""] * 3
    assert len(started) == 2, "it is left alone at last"
    monkeypatch.setattr(tools, "LIMIT_S", 200.0)
    assert len(looks.printed("floods")) == 2**16
    assert looks.printed("talks", first_line=True) == "C\n", "in no user's language"
    assert [looks.printed(name) for name in ("fails", "garbage", "missing")] == [""] * 3


def test_a_file_that_hangs_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert within(200.0, lambda: 1) == 1
    monkeypatch.setattr(watcher, "LOOK_LIMIT_S", 0.1)
    waited = counted(monkeypatch, watcher, "within")
    os.mkfifo(tree(tmp_path, {**PI_5, **zones(cpu=1)}) / "sys/class/thermal/thermal_zone9")
    (tmp_path / "sys/class/thermal/thermal_zone0/temp").unlink()
    os.mkfifo(tmp_path / "sys/class/thermal/thermal_zone0/temp")
    looks = Watcher(tmp_path, Printed())
    found = [looks.look() for _ in range(5)]
    assert len(waited) == 1
    assert all(one.clock_mhz["0"] == 1500 and not one.temperature_c for one in found)


def test_cores_where_the_kernel_does_not_list_them(tmp_path: Path) -> None:
    files = processor({0: 1_000_000, 1: 1_100_000})
    del files["sys/devices/system/cpu/online"]
    assert set(Watcher(tree(tmp_path, files), Printed()).look().clock_mhz) == {"0", "1"}
    (tmp_path / "sys/devices/system/cpu/online").write_text("0-99999,5-3,x\n")
    assert set(Watcher(tmp_path, Printed()).look().clock_mhz) == {"0", "1"}


def test_the_answer_of_a_runner() -> None:
    found = watcher.told({"cores": [0], "thorough": False})["state"]
    assert State.from_json(found).seconds > 0
