"""Content keys of the device stages: everything that can change what a stage makes, and nothing else.

The device enters only where a stage depends on it: latency belongs to the machine, a score to its
instruction set (integer kernels saturate on some and not on others), an artifact to neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from ....backends.contract.backend import CompileSettings
from ....backends.contract.tuning import Tuning
from ....backends.measure.samples import PROCESSES, LatencyPlan
from ...record.setting import Setting, Told
from ...store.store import content_key

EXPORT_VERSION, COMPILE_VERSION, MEASURE_VERSION, SPREAD_VERSION, SCORE_VERSION = 1, 3, 3, 1, 2
MAKE_VERSION, TUNE_VERSION, HERE_VERSION, AGREE_VERSION, SAMPLES_VERSION = 1, 1, 1, 1, 1


def export_key(
    model: str, source_format: str, batch: int, tools: Mapping[str, str], outputs: Sequence[str] = ()
) -> str:
    """Key of a float model in a backend's source format. `model` is the key of its weights; `batch` is 0
    where the format does not fix it; `outputs` are the names of its outputs, where it has not just the one
    that is called `output`."""
    fields: dict[str, Any] = {"model": model, "format": source_format, "batch": batch, "tools": dict(tools)}
    if outputs:
        fields["outputs"] = list(outputs)
    return content_key("export", EXPORT_VERSION, fields)


def compile_key(
    backend: str,
    version: str,
    settings: CompileSettings,
    source: str,
    calibration: tuple[str, int, int] | None,
    tuned: str = "",
) -> str:
    """Key of an artifact. `calibration` is the digest of the data, the number of samples taken (0: all), and
    which random draw of them (0: the first ones); `tuned` is the digest of what a tuning found."""
    fields: dict[str, Any] = {
        "backend": backend,
        "version": version,
        "settings": _settings(settings),
        "source": source,
        "calibration": calibration,
    }
    if tuned:
        fields["tuned"] = tuned
    return content_key("compile", COMPILE_VERSION, fields)


def tune_key(causes: Mapping[str, Any], settings: CompileSettings, source: str, tuning: Tuning) -> str:
    """Key of what a tuning finds for a structure: `source` is its export with untrained weights.

    It stands for the search, not for its result: other tunings that were known then are not in it, nor is
    chance. What was found has a digest of its own, which enters the keys of artifacts.
    """
    fields = {
        "causes": dict(causes),
        "settings": _settings(settings),
        "source": source,
        "tuning": asdict(tuning),
    }
    return content_key("tune", TUNE_VERSION, fields)


def make_key(
    maker: str,
    tools: Mapping[str, str],
    settings: CompileSettings,
    source: str,
    calibration: tuple[str, int, int] | None,
) -> str:
    """Key of what several backends compile from: the maker and its tools' versions stand for all of them.
    What only checks it (`check`) does not count."""
    fields = {
        "maker": maker,
        "tools": dict(tools),
        "settings": {name: value for name, value in _settings(settings).items() if name != "check"},
        "source": source,
        "calibration": calibration,
    }
    return content_key("make", MAKE_VERSION, fields)


def _settings(settings: CompileSettings) -> dict[str, Any]:
    """All that decides the bytes; options only where there are any, as before they could be told."""
    found = asdict(settings)
    return found if settings.options else {name: one for name, one in found.items() if name != "options"}


def measure_key(
    artifact: str,
    reference: str,
    device: str,
    batch: int,
    threads: int,
    plan: LatencyPlan,
    options: Told = (),
) -> str:
    """Key of raw latency samples of an artifact, opened with options, against a reference on a device."""
    fields = {
        "artifact": artifact,
        "reference": reference,
        "device": device,
        "batch": batch,
        "threads": threads,
        "plan": _fields(plan),
        **told(options),
    }
    return content_key("measure", MEASURE_VERSION, fields)


def told(options: Told) -> dict[str, Any]:
    """What enters the key of whatever was asked of an artifact that was opened with options: nothing where
    there were none."""
    return {"options": dict(options)} if options else {}


def spread_key(reference: str, device: str, batch: int, threads: int, plan: LatencyPlan) -> str:
    """Key of raw latency samples of several processes of the reference."""
    fields = {"reference": reference, "device": device, "batch": batch, "threads": threads}
    return content_key("spread", SPREAD_VERSION, {**fields, "plan": _fields(plan)})


def _fields(plan: LatencyPlan) -> dict[str, Any]:
    """What counts of a plan; the usual number of processes is left out, as before it could be chosen."""
    return {name: value for name, value in asdict(plan).items() if (name, value) != ("processes", PROCESSES)}


def score_key(
    artifact: str, split: str, metric: tuple[str, ...], batch: int, instructions: str, options: Told = ()
) -> str:
    """Key of an artifact's quality. `metric` is the metric's name, the digest of its code, and where there is
    a choice what it is given of the model's outputs; `options` are those that it was opened with."""
    fields = {
        "artifact": artifact,
        "split": split,
        "metric": metric,
        "batch": batch,
        "instructions": instructions,
        **told(options),
    }
    return content_key("score", SCORE_VERSION, fields)


def samples_key(
    artifact: str,
    samples: tuple[str, str],
    metric: tuple[str, ...],
    batch: int,
    instructions: str,
    options: Told,
) -> str:
    """Key of an artifact's outputs for a few samples: the digest of their split, and of which they are."""
    fields = {
        "artifact": artifact,
        "samples": list(samples),
        "metric": metric,
        "batch": batch,
        "instructions": instructions,
        **told(options),
    }
    return content_key("samples", SAMPLES_VERSION, fields)


def here_key(artifact: str, samples: str, batch: int, threads: int, versions: Sequence[str]) -> str:
    """Key of an artifact's outputs on this machine, whose runtime has these versions."""
    fields = {"artifact": artifact, "samples": samples, "batch": batch, "threads": threads}
    return content_key("here", HERE_VERSION, {**fields, "versions": list(versions)})


def agree_key(artifact: str, samples: str, how: Setting, device: Sequence[str]) -> str:
    """Key of how an artifact's outputs on a device compare with those here; `device` is all that it says of
    itself, and the versions of the runtime there."""
    fields = {"artifact": artifact, "samples": samples, "batch": how.batch, "threads": how.threads}
    fields.update(told(how.options))
    return content_key("agree", AGREE_VERSION, {**fields, "device": list(device)})
