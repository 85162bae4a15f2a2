"""The adapter's calls, checked by mypy against the recorded signatures of every version."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import paretune
import pytest
from trt.trt_stubs import SIGNATURES, VERSIONS, emit, recorded

pytestmark = pytest.mark.slow
ALL = [*((version, "tensorrt") for version in VERSIONS), ("1.7.1.116", "tensorrt_rtx")]

# What a careless adapter would write; the number is the line that mypy must name.
WRONG = """\
import tensorrt as trt
def careless(config: trt.IBuilderConfig, context: trt.IExecutionContext, builder: trt.Builder) -> None:
    config.set_flag(trt.BuilderFlag.INT8)
    config.max_workspace_size = 1 << 30
    context.execute_async_v2([1], 2)
    context.set_tensor_address("x", "0x10")
    builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH))
    builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    config.set_flag(trt.BuilderFlag.BF16)
    bytes(memoryview(builder.build_serialized_network(builder.create_network(), config)))
"""
REFUSED = {
    "8.5.3.1": {6, 8, 9, 10},
    "8.6.1": {6, 8, 9, 10},
    "10.3.0": {4, 5, 6, 10},
    "10.16.1.11": {4, 5, 6, 10},
    "11.4.0.106": {3, 4, 5, 6, 7, 9, 10},
    "1.7.1.116": {3, 4, 5, 6, 7, 9, 10},
}


# `paretune` itself names search and reports, and these PyTorch and a hundred others: no adapter sees them.
CONFIG = """\
[mypy]
strict = true
[mypy-onnxruntime.*]
ignore_missing_imports = true
[mypy-paretune.search.*,paretune.reports.*]
follow_imports = skip
"""


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the checkout as a package, the careless adapter, and a cache that all versions share."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("mypy")
    (folder / "paretune").symlink_to(Path(paretune.__file__).parent)
    (folder / "careless.py").write_text(WRONG)
    (folder / "mypy.ini").write_text(CONFIG)
    return folder


def mypy(folder: Path, version: str, module: str, *targets: str) -> str:
    (folder / "tensorrt.pyi").write_text(emit(recorded(version, module)))
    wanted = [argument for target in targets for argument in ("-m", target)]
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--no-error-summary", *wanted]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    ).stdout


@pytest.mark.parametrize(("version", "module"), ALL)
def test_the_adapter_fits_every_version_and_a_careless_one_does_not(version, module, workshop):
    modules = [f"paretune.backends.trt.{name}" for name in ("api", "build", "session", "backend")]
    found = mypy(workshop, version, module, *modules, "careless")
    errors = [line for line in found.splitlines() if ": error: " in line]
    ours = [line for line in errors if re.search(r"/trt/\w+\.py:|tensorrt\.pyi:", line)]
    assert ours == []
    lines = {int(line.split(":")[1]) for line in errors if line.startswith("careless.py:")}
    assert lines == REFUSED[version], found


@pytest.mark.parametrize(
    ("file", "before", "after", "complaint"),
    [
        ("config.py", "set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE,", "workspace(1,", "no attribute"),
        ("build.py", "parser.parse(onnx_bytes)", "parser.parse(str(onnx_bytes))", "incompatible type"),
        ("build.py", "if memory is None:", "if log is None:", r"incompatible type \"IHostMemory \| None\""),
    ],
)
def test_a_mutant_of_the_builder_is_refused(file, before, after, complaint, workshop):
    """Proof that the real file is read against the stubs: break it, and mypy sees it."""
    text = (Path(paretune.__file__).parent / "backends/trt" / file).read_text()
    assert before in text
    text = (
        text.replace(before, after)
        .replace("from ...", "from paretune.")
        .replace("from ..", "from paretune.backends.")
    )
    (workshop / "mutant.py").write_text(text.replace("from .", "from paretune.backends.trt."))
    found = mypy(workshop, "10.3.0", "tensorrt", "mutant")
    assert re.search(rf"mutant\.py:\d+: error: .*{complaint}", found), found


def test_recordings_are_small_and_complete():
    files = sorted(path.name for path in SIGNATURES.iterdir())
    assert files == sorted(f"{module}-{version}.json" for version, module in ALL)
    assert sum(path.stat().st_size for path in SIGNATURES.iterdir()) < 60_000
    for version, module in ALL:
        assert "execute_async_v3" in recorded(version, module)["classes"]["IExecutionContext"]["members"]
