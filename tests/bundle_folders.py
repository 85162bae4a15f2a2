"""Folders of bundles of format 1 and 2, as small as they come, with whatever fields."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np


def write_bundle(folder: Path, **changes: Any) -> Path:
    """A bundle of format 1 in `folder`, its manifest with these fields changed (None: left out)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(b"artifact")
    manifest = {
        "format": 1,
        "paretune": "0.1",
        "study": "digits",
        "trial": 3,
        "title": "teacher, fp32, ort",
        "backend": "ort",
        "precision": "fp32",
        "artifact": "model.onnx",
        "artifact_key": "ab",
        "batch": 2,
        "threads": 1,
        "inputs": [{"name": "x", "dtype": "float32", "shape": [2, 4]}],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [2, 3]}],
        "quality": {"metric": "rmse", "split": "test"},
        "metrics": {"rmse": {"value": 0.5, "low": 0.4, "high": 0.6}, "latency_ms": {"value": 2}},
        "versions": {"onnxruntime": "1.31.1"},
        "profile": "host",
        "environment": {"processor": "x"},
        "files": files_of(folder),
    }
    manifest |= changes
    kept = {name: value for name, value in manifest.items() if value is not None}
    (folder / "manifest.json").write_text(json.dumps(kept))
    return folder


def files_of(folder: Path) -> dict[str, Any]:
    """Names, hashes and sizes of what lies in a folder."""
    return {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "size_bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "manifest.json"
    }


def format_2(folder: Path, **samples: Any) -> dict[str, Any]:
    """The fields of a manifest of format 2, whose files are written to the folder."""
    (folder / "reference").mkdir(parents=True, exist_ok=True)
    (folder / "reference" / "model.onnx").write_bytes(b"reference")
    (folder / "model.onnx").write_bytes(b"artifact")
    rows = np.arange(12, dtype=np.float32).reshape(3, 4)
    arrays = {"input x": rows, "output y": rows[:, :3], "targets": rows[:, :3]}
    if not (folder / "samples.npz").exists():
        np.savez(folder / "samples.npz", **arrays)
    specs = [{"name": "x", "dtype": "float32", "shape": [2, 4]}]
    return {
        "format": 2,
        "samples": {
            "file": "samples.npz",
            "count": 3,
            "split": "test",
            "outputs": ["y"],
            "primary": "y",
            "scored": ["y"],
            "quality": {"value": 0.5},
            "taken_on": "host",
            **samples,
        },
        "reference": {
            "file": "reference/model.onnx",
            "backend": "ort",
            "precision": "fp32",
            "batch": 2,
            "threads": 1,
            "inputs": specs,
            "outputs": specs,
            "ratio": {"value": 0.5, "low": 0.45, "high": 0.55},
        },
        "files": files_of(folder),
    }


def run_isolated(
    bundle: Path, *arguments: str, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """Run the bundle's script in isolated mode, with our package and torch made impossible to import."""
    block = (
        "import runpy, sys\n"
        "for name in ('torch', 'paretune', 'onnx', 'optuna', 'pandas', 'pydantic'):\n"
        "    sys.modules[name] = None\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    return subprocess.run(
        [python, "-I", "-c", block, str(bundle / "run.py"), *arguments],
        capture_output=True, text=True, timeout=120, check=False, cwd=bundle.parent,
    )  # fmt: skip
