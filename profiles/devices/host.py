"""The profile of the machine at hand: facts from the operating system, peaks and bandwidth measured."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

from ..cache import cache_folder
from ..errors import UserError
from ..files import write_whole
from ..packages import versions
from ..precision import Precision
from .bench import ONE_THREAD
from .gpus import probe_gpus
from .machine import Machine, read_machine
from .schema import ByteFigure, Caches, Cpu, Figure, Gpu, LocalReach, Profile

_BENCH = Path(__file__).with_name("bench.py")
_BANDWIDTH = "bandwidth"


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A program that measures a runtime on one core: it prints figures by name of the precision as JSON.

    It is run like `bench.py`, where one of the distributions `packages` is installed.
    """

    program: Path
    packages: tuple[str, ...]


def probe_host(
    measure: bool = True,
    cache: Path | None = None,
    probes: Sequence[Probe] = (),
    *,
    root: Path = Path("/"),
    machine: str | None = None,
    affinity: frozenset[int] | None = None,
    nvidia_smi: str = "nvidia-smi",
) -> Profile:
    """The profile "host".

    With `measure`, one core's float32 operations per second, its copy bandwidth, and what `probes` tell are
    measured in fresh interpreters, about 1.5 seconds, and kept in the JSON file `cache` (by default under
    the user's cache folder, named after processor, kernel and packages). The other arguments read a recorded
    machine instead of this one, see `read_machine` and `probe_gpus`.

    Raises:
        UserError: the processor is neither x86-64 nor 64-bit Arm.
    """
    facts = read_machine(root, machine, affinity)
    if facts.architecture not in ("x86-64", "aarch64"):
        raise UserError(
            "this processor is not supported",
            found=facts.architecture,
            accepted="x86-64, aarch64 (64-bit Arm)",
        )
    figures = measured_figures(cache or default_cache(facts, probes), probes) if measure else {}
    gpus = probe_gpus(nvidia_smi, root)
    notes = [f"{len(gpus)} GPUs are here; the first one is described"] if len(gpus) > 1 else []
    if measure and not figures:
        notes.append("peaks and bandwidth could not be measured")
    return Profile(
        name="host",
        title=f"This machine: {facts.model}" + (f" with {gpus[0].model}" if gpus else ""),
        cpu=_cpu(facts, figures),
        gpu=with_shared_memory(gpus[0], facts) if gpus else None,
        reach=LocalReach(),
        notes=tuple(notes),
    )


def default_cache(facts: Machine, probes: Sequence[Probe] = ()) -> Path | None:
    """The file for figures of such a machine, host-<digest>.json in the user's cache folder; None without."""
    known = [facts.model, str(facts.cores), *facts.instruction_sets, platform.release()]
    known += [f"{n}={v}" for n, v in versions(["numpy", *(n for p in probes for n in p.packages)]).items()]
    programs = [_BENCH.read_text(), *(probe.program.read_text() for probe in probes)]
    digest = hashlib.sha256("\n".join([*known, *programs]).encode()).hexdigest()[:12]
    folder = cache_folder()
    return folder / f"host-{digest}.json" if folder else None


def measured_figures(cache: Path | None, probes: Sequence[Probe] = ()) -> dict[str, Figure]:
    """Figures by name of the precision, and "bandwidth": from the file, or measured now and kept there.

    A damaged file counts as missing; one that cannot be written is done without. Empty if measuring fails.
    """
    with suppress(OSError, ValueError):
        if cache is not None:
            return _figures(json.loads(cache.read_text()))
    try:
        data = _run(_BENCH)
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    for probe in probes:
        with suppress(OSError, subprocess.SubprocessError, ValueError):
            found = _run(probe.program) if versions(probe.packages) else {}
            data = {**{name: found[name] for name in _figures(found)}, **data}
    with suppress(OSError):
        if cache is None:
            return _figures(data)
        cache.parent.mkdir(parents=True, exist_ok=True)
        write_whole(cache, json.dumps(data, indent=1))
    return _figures(data)


def _figures(data: Any) -> dict[str, Figure]:
    if not isinstance(data, dict) or not data:
        raise ValueError("not a mapping of figures")
    for name in set(data) - {_BANDWIDTH}:
        Precision(name)  # raises ValueError where it is none
    return {str(name): Figure.model_validate(figure) for name, figure in data.items()}


def _run(program: Path) -> dict[str, Any]:
    # The program goes in as text: run as a file, it would put this folder's modules before all others.
    done = subprocess.run(
        [sys.executable, "-c", program.read_text()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
        env={**os.environ, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return cast("dict[str, Any]", json.loads(done.stdout))


def _cpu(facts: Machine, figures: dict[str, Figure]) -> Cpu:
    peaks = {Precision(name): figure for name, figure in figures.items() if name != _BANDWIDTH}
    sizes = facts.cache_bytes
    caches = Caches(l1_bytes=sizes.get(1), l2_bytes=sizes.get(2), l3_bytes=sizes.get(3), source=facts.origin)
    return Cpu(
        model=facts.model,
        architecture=cast("Literal['x86-64', 'aarch64']", facts.architecture),
        cores=facts.cores,
        threads=facts.threads,
        instruction_sets=facts.instruction_sets,
        source=facts.origin,
        memory_bytes=ByteFigure(value=facts.memory_bytes, source=facts.memory_source),
        bandwidth_gb_per_s=figures.get(_BANDWIDTH),
        caches=caches if sizes else None,
        peak_cores=1 if peaks else None,
        peaks_gop_per_s=peaks,
    )


def with_shared_memory(gpu: Gpu, facts: Machine) -> Gpu:
    """A GPU that reports no memory of its own (Jetson) uses the machine's."""
    if gpu.memory_bytes is not None:
        return gpu
    shared = ByteFigure(value=facts.memory_bytes, source=f"{facts.memory_source}, shared with the CPU")
    return gpu.model_copy(update={"memory_bytes": shared})
