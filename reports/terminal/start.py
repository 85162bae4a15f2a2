"""The study file that `paretune init` writes."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ...backends.registry import availability, backend_names
from ...profiles.errors import UserError
from ...profiles.files import write_whole
from ...profiles.precision import Precision
from ...profiles.text.named import file_text, refused_at, workload_text
from ...profiles.text.yaml_values import as_text

_TEXT = """\
# A Paretune study. `paretune plan {file}` shows what it would do, `paretune run {file}` runs or resumes it.
name: {name}

# A Python file with an object `workload`: teacher (or `model`, a file), data in four splits, metric, and how
# to build students.
workload: {workload}

# The device: `host` is this machine; `paretune devices` lists others; a path names a profile of your own.
profile: host

# What is searched. Left out means: everything that the device and the installed runtimes can do.
space:
  # Arguments of the workload's student builder, with the values to try. A workload without a builder has two:
  # shares of the teacher's multiply-adds and of its equal blocks.
  # student: {{width: [0.25, 0.5, 1.0], depth: [1, 2]}}
  # student: {{macs: [0.1, 0.25], depth: [0.5, 1.0]}}
  # Share of channels removed (channel:R), of weights set to zero (unstructured:R), or 2:4 (NVIDIA).
  sparsity: [dense]
  # precision: [{precisions}]
  # Installed here: {installed}
  # backend: [{installed}]
  calibration: {{method: [minmax], samples: [128]}}
  distill: {{temperature: [4], weight: [0.7]}}

# patience: 3 ends a training after three epochs without a better quality, and keeps the best weights.
training: {{epochs: 20, finetune_epochs: 8, learning_rate: 0.002, batch: 64}}

objectives: [accuracy, latency, size]

# Limits with units. Others: `latency_p90 <= 5 ms`, `memory <= 20 MB`, `latency <= 25 % of teacher`.
# Against the teacher: `worst_class_drop <= 3 pt absolute`, `agreement >= 97 %`, `ece_rise <= 2 pt absolute`.
constraints:
  - accuracy >= teacher - 1 pt absolute

# Weights that order the front in the report.
prefer: {{accuracy: 1, latency: 1, size: 1}}

# A hard limit. A candidate that was only measured and never trained counts a tenth of a trial.
budget: {{trials: 40, time: 30 min}}

# How candidates are chosen. Others: tpe, nsga2, gp, random (Optuna's own, behind the same gate).
sampler: hardware-first
# End sooner when a training's time is expected to raise the hypervolume by less than `gain`, for so many
# proposals in a row. `stop: never` uses the whole budget.
stop: {{gain: 0.1 %, proposals: 6}}
# By how much a compressed model may be better than its less compressed relatives. Left out: 1 pt of a share,
# else 1 % of the teacher's value. Without `during_training` every training runs to its end.
# gate: {{margin: 1 pt, during_training: false}}
# What is tried where quantization loses more than it may. Or `ladder: never`.
# ladder: {{rungs: [calibration, mixed-precision, qat], time: 2 min, worth: 0.1 pt, qat_epochs: 4}}
# Values beyond which a candidate is worth nothing to you. Left out: taken from the limits and the teacher.
# reference: {{accuracy: 90 %, latency: 2 ms}}
# Start from earlier runs of the same workload beside this one; or false, or a list of runs and study files.
warm_start: true

# Backends that are slow until they are tuned are offered with a budget only: at most so many schedules and so
# long for each candidate that is tuned, and only those that may reach the front are.
# tuning: {{trials: 256, time: 10 min}}

# How the model runs on the device. Of lists the study searches with the first; the others are tried on the
# finalists, by measuring alone. `options: search` tries what runtimes can be told when they open or compile a
# model; a list names some of it (`options: [spinning]`), a mapping values too (`options: {{spinning: on}}`).
deploy: {{batch: 1, threads: 1}}
# deploy: {{batch: [1, 8], threads: [1, 2, 4], options: search}}
"""


def write_study_file(into: Path, workload: str) -> None:
    """Write a commented study file.

    Raises:
        UserError: the file exists, or its directory does not.
    """
    with refused_at("--output"):
        file_text(str(into))
    with refused_at("--workload"):
        workload_text(workload)
    try:
        if os.path.lexists(into):
            raise UserError("this file exists already", place=str(into), remedy="name another with --output")
        if not into.parent.is_dir():
            raise UserError("no such directory", place=str(into.parent))
    except OSError as error:
        raise _not_writable(into, error) from error
    installed = [name for name in backend_names() if availability(name).installed]
    text = _TEXT.format(
        file=into.name,
        name=as_text(_name_from(into.stem)),
        workload=as_text(workload),
        precisions=", ".join(Precision),
        installed=", ".join(installed) or "none",
    )
    try:
        write_whole(into, text)
    except OSError as error:
        raise _not_writable(into, error) from error


def _name_from(stem: str) -> str:
    """A name for the study, as near to that of its file as names may be."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:80] or "study"


def _not_writable(into: Path, error: OSError) -> UserError:
    return UserError(
        "the study file cannot be written",
        place=str(into),
        found=error.strerror or str(error),
        remedy="name another with --output, or make its directory writable",
    )
