"""Compile or run artifacts where torch cannot be imported; started by the backend contract."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

for blocked in ("torch", "tensorflow", "jax", "optuna", "pandas"):
    sys.modules[blocked] = None  # importing it raises ImportError

import numpy as np  # noqa: E402
from paretune.backends.contract.backend import CompileSettings, SourceModel, batches  # noqa: E402
from paretune.backends.registry import get_backend  # noqa: E402
from paretune.profiles.precision import Precision  # noqa: E402


def main(request):
    backend, folder = get_backend(request["backend"]), Path(request["folder"])
    answer = {}
    for name, precision, artifact, source, source_format in request["cases"]:
        if request["job"] == "run":
            samples = dict(np.load(folder / f"{name}-samples.npz"))
            with backend.open(Path(artifact), request["batch"], 1) as session:
                found = session.run(next(batches(samples, request["batch"])))
                result = {output: array.tolist() for output, array in found.items()}
        else:
            made = backend.compile(
                SourceModel(path=Path(source), format=source_format),
                CompileSettings(precision=Precision(precision), batch=request["batch"]),
                dict(np.load(folder / f"{name}.npz")),
                Path(tempfile.mkdtemp(dir=folder)),
            )
            result = hashlib.sha256(made.path.read_bytes()).hexdigest()
        answer[f"{name} {precision}"] = result
    (folder / "answer.json").write_text(json.dumps(answer))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
