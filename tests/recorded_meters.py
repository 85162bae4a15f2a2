"""Devices with meters, as their files and programs tell."""

import sys
from types import SimpleNamespace

from device_trees import tree

ORIN = (
    "11-28-2026 12:00:00 RAM 2945/7620MB (lfb 4x4MB) SWAP 0/3810MB (cached 0MB) CPU [12%@1510,8%@1510,"
    "0%@1510,3%@1510,off,off] EMC_FREQ 0%@2133 GR3D_FREQ 0%@[305] cpu@45.6C soc2@44.2C soc0@44.8C gpu@44.9C "
    "tj@45.6C soc1@44.1C VDD_IN 4521mW/4498mW VDD_CPU_GPU_CV 612mW/598mW VDD_SOC 1378mW/1372mW"
)
NANO = (
    "RAM 1035/3964MB (lfb 500x4MB) SWAP 0/1982MB (cached 0MB) IRAM 0/252kB(lfb 252kB) CPU [9%@102,off] "
    "EMC_FREQ 0% GR3D_FREQ 0% PLL@24C CPU@26C POM_5V_IN 4072/4072 POM_5V_GPU 0/0 POM_5V_CPU 122/122"
)
PI_5 = """\
 3V7_WL_SW_A current(0)=0.07611780A
   3V3_SYS_A current(1)=0.05855216A
VDD_CORE_A current(7)=0.87150000A
 3V7_WL_SW_V volt(8)=3.69600000V
   3V3_SYS_V volt(9)=3.31331000V
VDD_CORE_V volt(15)=0.72115770V
EXT5V_V volt(24)=5.15254000V
"""


def rapl(root, packages=1, uj=5_000_000, span=262_143_328_850):
    """Packages with a core and their memory each, and the machine as a whole."""
    files = {}
    zones = [("intel-rapl:9", "psys")]
    for n in range(packages):
        zones += [
            (f"intel-rapl:{n}", f"package-{n}"),
            (f"intel-rapl:{n}:0", "core"),
            (f"intel-rapl:{n}:1", "dram"),
            (f"intel-rapl-mmio:{n}", f"package-{n}"),
        ]
    for zone, name in zones:
        folder = f"sys/class/powercap/{zone}"
        files |= {f"{folder}/name": f"{name}\n", f"{folder}/energy_uj": f"{uj}\n"}
        files[f"{folder}/max_energy_range_uj"] = f"{span}\n"
    return tree(root, files)


def ina3221(root):
    """An Orin Nano's: three rails, and further inputs that are none."""
    chip = "sys/class/hwmon/hwmon1"
    rails = {"VDD_IN": (5072, 892), "VDD_CPU_GPU_CV": (5072, 120), "VDD_SOC": (5064, 272)}
    files = {f"{chip}/name": "ina3221\n", f"{chip}/in7_label": "sum of shunt voltages\n"}
    for n, (label, (mv, ma)) in enumerate(rails.items(), start=1):
        files[f"{chip}/in{n}_label"] = f"{label}\n"
        files |= {f"{chip}/in{n}_input": f"{mv}\n", f"{chip}/curr{n}_input": f"{ma}\n"}
        files[f"{chip}/in{n + 3}_input"] = "4\n"
        files[f"{chip}/curr{n}_max"] = "4100\n"
    files |= {f"{chip}/curr4_input": "1284\n", "sys/class/hwmon/hwmon0/name": "cpu_thermal\n"}
    return tree(root, files)


def ina226(root):
    """A shunt in the supply of a board, read by a driver that multiplies itself."""
    chip = "sys/class/hwmon/hwmon3"
    files = {"name": "ina226", "power1_input": "3275000", "in1_input": "5100", "curr1_input": "642"}
    return tree(root, {f"{chip}/{name}": f"{told}\n" for name, told in files.items()})


def program(folder, name, code):
    """A program of a board that runs this Python; what it needs lies beside it."""
    path = folder / name
    path.write_text(f"#!{sys.executable} -S\n{code}")
    path.chmod(0o755)
    return path


def says(folder, name, text):
    """One that writes a text."""
    path = folder / name
    (folder / f"{name}.txt").write_text(text)
    path.write_text(f"#!/bin/sh\ncat {folder}/{name}.txt\n")
    path.chmod(0o755)
    return path


def repeats(folder, name, line):
    """One that writes a line again and again."""
    path = folder / name
    (folder / f"{name}.txt").write_text(line + "\n")
    path.write_text(f"#!/bin/sh\nwhile :; do cat {folder}/{name}.txt; sleep 0.02; done\n")
    path.chmod(0o755)
    return path


class NvmlError(Exception):
    """As NVIDIA's package raises it."""


def nvml(joules=(1_000_000,), milliwatts=None, cards=1, fails=()):
    """NVIDIA's package with cards that count, or tell only their power."""
    counts = iter(joules) if joules else None

    def called(name, value):
        def function(*_):
            if name in fails:
                raise NvmlError(f"{name} is not supported")
            return value() if callable(value) else value

        return function

    names = {
        "nvmlInit": None,
        "nvmlDeviceGetCount": cards,
        "nvmlDeviceGetHandleByIndex": "handle",
        "nvmlDeviceGetTotalEnergyConsumption": lambda: next(counts),
        "nvmlDeviceGetPowerUsage": milliwatts,
    }
    return SimpleNamespace(**{name: called(name, value) for name, value in names.items()})
