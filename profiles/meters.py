"""Words of meters: their kinds, and what one covers. Profiles may say them, answers of devices have to."""

from __future__ import annotations

RAPL, HWMON, NVML, PMIC, TEGRASTATS = "rapl", "hwmon", "nvml", "pmic", "tegrastats"
WINDOW_S = {RAPL: 0.5, HWMON: 2.0, NVML: 5.0, PMIC: 10.0, TEGRASTATS: 10.0}
"""Least seconds of a window in which one of that kind tells enough."""
READINGS = 100
"""Of a power, in a window."""
METER_KINDS = tuple(WINDOW_S)

BOARD, MODULE, GPU, PACKAGE = "board", "module", "gpu", "package"
"""What a meter that is taken by itself covers: all that the board draws; the computing module with its
memory; a card; the processors. Figures of different scopes are never compared."""
MEMORY, CORES, PLATFORM, RAIL = "memory", "cores", "platform", "rail"
"""What is a part, or nobody says of what: taken only where a profile names it."""
SCOPES = (BOARD, MODULE, GPU, PACKAGE, MEMORY, CORES, PLATFORM, RAIL)
