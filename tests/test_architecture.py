"""The shape of the house: which way imports run, what is loaded when, what ships."""

import ast
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import paretune
import pytest
from paretune.backends.registry import backend_names, get_backend
from rooms import circles, imports_between_rooms, longest_functions, modules, room_of

ROOT = Path(paretune.__file__).resolve().parent

MAY_IMPORT = {
    "profiles": "",
    "profiles.guard": "profiles",
    "profiles.text": "profiles",
    "profiles.devices": "profiles.text profiles",
    "backends.calibration": "profiles",
    "backends.contract": "profiles.devices profiles.text profiles.guard profiles",
    "backends.measure": "profiles.devices profiles backends.contract backends.watch",
    "backends.watch": "profiles",
    "backends.energy": "profiles.devices profiles backends.contract backends.measure backends.watch",
    "backends.onnx_graph": "profiles backends.contract",
    "backends.estimate": "profiles.devices profiles backends.onnx_graph",
    "backends.boards": (
        "profiles.devices profiles.text profiles backends.energy backends.measure backends.registry "
        "backends.runner backends.watch"
    ),
    "backends.registry": "profiles.devices profiles.guard profiles backends.contract",
    "backends.onnx_torch": "profiles",
    "backends.tflite": "profiles.devices profiles backends.calibration backends.contract backends.onnx_torch",
    "backends.onnx_quantize": "profiles backends.calibration backends.contract backends.onnx_graph",
    "backends.openvino": (
        "profiles.devices profiles backends.contract backends.onnx_graph backends.onnx_quantize"
    ),
    "backends.ort": "profiles.devices profiles backends.contract backends.onnx_graph backends.onnx_quantize",
    "backends.lease": "profiles",
    "backends.load": "backends.contract",
    "backends.runner": (
        "profiles.guard profiles backends.contract backends.energy backends.lease backends.load "
        "backends.measure backends.registry backends.watch"
    ),
    "backends.trt": (
        "profiles.devices profiles backends.calibration backends.contract backends.onnx_graph "
        "backends.onnx_quantize"
    ),
    "backends.tvm": "profiles.devices profiles backends.contract backends.onnx_graph",
    "search.record": "profiles.text profiles",
    "search.ranking": "profiles search.record",
    "search.space": "profiles search.record",
    "search.structure": "search.record",
    "search.storage": "profiles search.record",
    "search.store": "profiles search.record",
    "search.bundles": "profiles backends.contract search.record",
    "search.nights": "profiles.text profiles search.job search.record search.workload",
    "search.regress": (
        "backends.measure backends.registry backends.runner profiles profiles.devices search.bundles "
        "search.checks search.ranking search.recheck search.record search.run"
    ),
    "search.checks": "profiles.text profiles search.record",
    "search.workload": "profiles.text profiles.guard profiles search.record",
    "search.monitor": "profiles search.bundles search.checks search.record search.workload",
    "search.gate": "profiles search.ranking search.record",
    "search.sampler": "profiles search.ranking search.record search.space search.surrogates",
    "search.surrogates": "search.record",
    "search.stages.network": "profiles.guard profiles search.record search.structure search.workload",
    "search.job": (
        "backends.boards backends.energy backends.measure backends.watch "
        "profiles.devices profiles.text profiles.guard profiles backends.contract "
        "backends.onnx_graph backends.registry backends.runner search.record search.space "
        "search.storage search.store search.workload"
    ),
    "search.stages.cutting": "profiles search.stages.network",
    "search.stages.proxies": "search.stages.network",
    "search.stages.device": (
        "profiles backends.contract backends.energy backends.measure backends.registry backends.runner "
        "backends.watch search.bundles search.monitor search.record search.store search.workload"
    ),
    "search.stages.training": (
        "profiles.guard profiles backends.contract search.record search.stages.network search.workload"
    ),
    "search.stages.models": (
        "profiles.guard profiles backends.contract backends.onnx_graph backends.registry "
        "search.record search.space search.stages.cutting search.stages.device "
        "search.stages.network search.stages.proxies search.stages.training search.store search.workload"
    ),
    "search.stages.absent": (
        "profiles.devices profiles backends.contract backends.estimate backends.measure backends.registry "
        "search.record search.stages.chain search.stages.device search.stages.models search.store"
    ),
    "search.stages.deployment": (
        "profiles backends.contract backends.energy backends.load backends.measure backends.onnx_graph "
        "backends.registry backends.runner backends.watch search.record search.stages.device search.store"
    ),
    "search.stages.chain": (
        "profiles.guard backends.measure backends.registry search.record search.stages.deployment "
        "search.stages.device "
        "search.stages.models search.store search.workload"
    ),
    "search.ladder": (
        "profiles backends.contract backends.registry search.record search.stages.chain "
        "search.store search.workload"
    ),
    "search.verify": (
        "backends.contract backends.measure backends.registry backends.runner profiles "
        "profiles.devices search.bundles search.checks search.job search.record search.stages.device "
        "search.workload"
    ),
    "search.evaluation": (
        "profiles.guard profiles backends.measure search.ladder search.ranking "
        "search.record search.stages.chain search.stages.deployment search.stages.device "
        "search.stages.models search.store search.workload"
    ),
    "search.recheck": (
        "backends.contract backends.measure backends.registry backends.runner profiles profiles.devices "
        "search.bundles search.checks search.job search.ranking search.record search.run "
        "search.stages.device search.stages.models search.storage search.store search.workload"
    ),
    "search.cluster": (
        "profiles profiles.guard profiles.text backends.measure backends.registry search.driver "
        "search.evaluation search.job search.record search.run search.stages.chain search.storage "
        "search.store search.workload"
    ),
    "search.driver": (
        "profiles profiles.devices search.evaluation search.gate search.job search.ranking search.record "
        "search.sampler search.space search.stages.device search.storage"
    ),
    "search.run": (
        "profiles profiles.devices profiles.text backends.energy backends.lease backends.measure "
        "backends.registry backends.runner search.driver search.evaluation search.gate search.job "
        "search.ladder search.ranking search.record search.sampler search.space search.stages.absent "
        "search.stages.chain search.stages.deployment search.stages.device search.stages.models "
        "search.storage search.store"
    ),
    "search.retention": (
        "profiles.text profiles search.bundles search.job search.ranking search.record search.run "
        "search.storage search.store"
    ),
    "reports.content": "profiles search.gate search.ranking search.record",
    "reports.charts": "profiles backends.registry reports.content search.ranking search.record",
    "reports.terminal": (
        "profiles.devices profiles.text profiles.guard profiles backends.boards backends.registry "
        "backends.runner reports.content search.job search.ranking search.record search.retention "
        "search.space"
    ),
    "reports.pages": "profiles.text profiles reports.charts reports.content search.ranking search.record",
    "reports.bundle": (
        "profiles backends.registry reports.content reports.pages search.bundles search.monitor "
        "search.ranking search.record search.store"
    ),
    "reports.results": "reports.bundle reports.pages search.ranking search.record search.run",
    "reports.push": (
        "profiles backends.registry reports.bundle reports.content reports.pages search.bundles "
        "search.ranking search.record search.run search.storage"
    ),
    "reports.notebook": (
        "profiles reports.charts reports.content reports.pages search.ranking search.record"
    ),
    "reports.api": (
        "profiles profiles.devices profiles.guard backends.boards backends.registry reports.bundle "
        "reports.nights reports.notebook reports.pages reports.push reports.results reports.terminal "
        "search.bundles search.cluster search.driver search.monitor search.ranking search.recheck "
        "search.record search.regress search.retention search.run search.verify"
    ),
    "reports.nights": (
        "profiles profiles.text backends.runner reports.bundle reports.charts reports.content "
        "reports.pages reports.results search.bundles search.checks search.cluster search.driver "
        "search.job search.nights search.ranking search.record search.regress search.retention "
        "search.run search.verify"
    ),
    "reports.commands": (
        "reports.api reports.nights reports.pages reports.push reports.results reports.terminal "
        "search.cluster search.driver search.monitor search.ranking search.recheck search.regress "
        "search.retention search.run search.verify"
    ),
}
"""Room -> the rooms that it may import. `docs/architecture.md` shows the same table to a newcomer."""


def test_rooms_import_what_the_table_allows():
    found = imports_between_rooms()
    faces = {"backends", "search", "search.stages", "reports"}  # packages: one sentence, no code
    assert set(found) == set(MAY_IMPORT) | faces
    beyond = {room: found[room] - set(allowed.split()) for room, allowed in MAY_IMPORT.items()}
    assert {room: rooms for room, rooms in beyond.items() if rooms} == {}


def test_the_table_has_no_circle_and_names_no_room_that_is_not_there():
    table = {room: set(allowed.split()) for room, allowed in MAY_IMPORT.items()}
    assert circles(table) == []
    assert set().union(*table.values()) <= set(table) <= set(imports_between_rooms())


def test_the_table_allows_nothing_that_nobody_uses():
    found = imports_between_rooms()
    unused = {room: set(allowed.split()) - found[room] for room, allowed in MAY_IMPORT.items()}
    assert {room: rooms for room, rooms in unused.items() if rooms} == {}


def test_the_newcomers_table_is_this_one():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([\w.]+)` \|.*\|([^|]*)\|$", page, re.MULTILINE)
    shown = {room: set(re.findall(r"`([\w.]+)`", allowed)) for room, allowed in rows}
    assert shown == {room: set(allowed.split()) for room, allowed in MAY_IMPORT.items()}


def test_no_file_is_in_a_circle_of_imports():
    known = {module.name for module in modules()}
    graph = {
        module.name: {
            whole if whole in known else name
            for name, taken in module.imports()
            for whole in (f"{name}.{one}" for one in taken or ("",))
        }
        for module in modules()
    }
    assert circles(graph) == []


def test_no_private_name_leaves_its_room():
    taken = [
        f"{module.name} takes {name} of {source}"
        for module in modules()
        for source, names in module.imports()
        for name in names
        if name.startswith("_") and not name.startswith("__") and room_of(source) != module.room
    ]
    assert taken == []


def test_a_backend_is_named_in_its_room_and_the_registry_alone():
    """Its name, its title and the packages that it asks for, as text; documents and pyproject.toml may."""
    texts = [
        (room_of(".".join(path.with_suffix("").parts)), f"{path}:{line}: {text[:60]!r}", text)
        for path, line, text in texts_of_the_product()
    ]
    for room, words in backend_words().items():
        word = re.compile(rf"(?<![\w-])({'|'.join(map(re.escape, words))})(?![\w-])")
        may = {room, "backends.registry"}
        assert [where for there, where, text in texts if there not in may and word.search(text)] == []


LIBRARIES = {"onnxruntime", "onnxruntime-gpu"}
"""What is also a library: any ONNX file is run on the CPU with it, whatever the backend."""


def backend_words() -> dict[str, set[str]]:
    """Room of each backend of ours to the words that nobody else may say."""
    found = {}
    for name in backend_names():
        backend = get_backend(name)
        room = room_of(type(backend).__module__.removeprefix("paretune."))
        if room.startswith("backends."):
            found[room] = {name, backend.title, *backend.packages} - LIBRARIES
    return found


def texts_of_the_product():
    """Each text of the product's code and templates that is no docstring: path, line and the text."""
    for module in modules():
        docs = {
            id(node.body[0].value)
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
                yield module.path.relative_to(ROOT), node.lineno, node.value
    for path in ROOT.glob("reports/**/templates/*"):
        yield path.relative_to(ROOT), 1, path.read_text(encoding="utf-8")


def test_a_class_name_means_one_thing():
    where = defaultdict(list)
    for module in modules():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef):
                where[node.name].append(module.name)
    assert {name: places for name, places in where.items() if len(places) > 1} == {}


def test_files_and_functions_are_short():
    assert [m.name for m in modules() if m.lines > 300] == []
    assert longest_functions(over=60) == []


def test_the_checkout_under_test_is_what_is_imported():
    assert Path(__file__).parent.parent.resolve() == ROOT.resolve()


def test_no_other_modules_at_the_root():
    assert {path.name for path in ROOT.glob("*.py")} == {"__init__.py", "cli.py", "setup.py"}


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
        "for name in ('ort', 'tflite', 'trt', 'openvino', 'tvm', 'toy'): get_backend(name)"
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


def test_modules_that_pages_and_docstrings_name_are_there():
    """`gate/bounds.py` in backticks; a page may leave out the room where it is plain."""
    ours = {f"/{path.relative_to(ROOT)}" for path in ROOT.glob("[!.]*/**/*.py")} | {"/cli.py"}
    users = {"file.py", "random.py", "monitor.py"}  # the last is a bundle's
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(module.path for module in modules())]
    gone = [
        f"{page.relative_to(ROOT)}: {name}"
        for page in pages
        for name in re.findall(r"`([\w/]+\.py)`", page.read_text(encoding="utf-8"))
        if name not in users and not any(path.endswith(f"/{name}") for path in ours)
    ]
    assert gone == []


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
