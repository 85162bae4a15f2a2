"""The shape of the house: which way imports run, what is loaded when, what ships."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import paretune
import pytest

ROOT = Path(paretune.__file__).parent
LAYERS = ("profiles", "backends", "search", "reports", "cli")
FILES = [path for folder in LAYERS[:-1] for path in (ROOT / folder).rglob("*.py")]
MODULES = [*sorted(FILES), ROOT / "cli.py", ROOT / "__init__.py"]


def imports(path: Path):
    """Names of our modules that a file imports, as dotted paths below the package."""
    package = path.relative_to(ROOT).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = package[: len(package) - node.level + 1]
            yield ".".join([*base, *(node.module or "").split(".")]).strip(".")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "paretune":
            yield (node.module or "").partition(".")[2]
        elif isinstance(node, ast.Import):
            yield from (a.name.partition(".")[2] for a in node.names if a.name.split(".")[0] == "paretune")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(path):
    layer = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if layer == "__init__":
        return
    allowed = LAYERS[: LAYERS.index(layer) + 1]
    wrong = [name for name in imports(path) if name and name.split(".")[0] not in allowed]
    assert not wrong, f"{layer} may import {', '.join(allowed)} alone"


def test_the_checkout_under_test_is_what_is_imported():
    assert Path(__file__).parent.parent.resolve() == ROOT.resolve()


def test_no_other_modules_at_the_root():
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "cli.py"}


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(' '.join(sys.modules))"
    return set(subprocess.check_output([sys.executable, "-c", code], text=True, cwd="/").split())


def test_importing_the_registry_loads_no_runtime():
    loaded = loaded_after("import paretune.backends.registry")
    assert not loaded & {
        "onnxruntime",
        "ai_edge_litert",
        "tensorrt",
        "tensorrt_rtx",
        "torch",
        "optuna",
        "pydantic",
    }


def test_the_measuring_side_needs_numpy_and_the_runtime_alone():
    loaded = loaded_after(
        "import paretune.backends.runner.serve; from paretune.backends.registry import get_backend\n"
        "for name in ('ort', 'tflite', 'trt', 'null'): get_backend(name)"
    )
    assert not loaded & {"torch", "optuna", "pydantic", "pandas", "typer", "rich", "yaml", "onnx"}


def test_every_public_name_can_be_imported():
    for name in paretune.__all__:
        assert getattr(paretune, name) is not None
    with pytest.raises(AttributeError, match="nonsense"):
        _ = paretune.nonsense


def test_help_comes_without_loading_torch():
    loaded = loaded_after("import paretune.cli")
    assert not loaded & {"torch", "optuna", "onnxruntime"}


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))], ids=lambda p: p.name
)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.slow
def test_the_wheel_works_in_another_environment_from_any_directory(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, ROOT], check=True
    )
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env" / "bin" / "python"
    wheel = next(tmp_path.glob("paretune-*.whl"))
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", wheel], check=True)
    site = Path(
        subprocess.check_output(
            [python, "-c", "import site; print(site.getsitepackages()[0])"], text=True
        ).strip()
    )
    # The dependencies come from this environment, the package from the wheel.
    (site / "deps.pth").write_text(str(Path(pytest.__file__).parent.parent) + "\n")
    where = subprocess.check_output(
        [python, "-c", "import paretune; print(paretune.__file__)"], text=True, cwd="/"
    )
    assert str(site) in where
    out = subprocess.check_output([tmp_path / "env" / "bin" / "paretune", "devices"], text=True, cwd="/")
    assert "raspberry-pi-5" in out
    packed = {path.relative_to(site / "paretune").parts[0] for path in (site / "paretune").rglob("*")}
    assert "py.typed" in packed
    assert not packed & {"tests", "benchmarks", "examples"}
