"""The module of a bundle: one file, numpy alone, also for a Python that is old."""

import ast
import subprocess
import sys
from collections import Counter

from paretune.search.monitor.module import module_source

OLDEST = (3, 9)
LATER_CALLS = {"zip": "strict", "dataclass": "kw_only"}
"""Arguments that the oldest Python does not know."""


def test_it_is_python_of_the_oldest_board():
    tree = ast.parse(module_source(), feature_version=OLDEST)
    later = [
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        for keyword in node.keywords
        if keyword.arg is not None and LATER_CALLS.get(node.func.id) == keyword.arg
    ]
    assert later == []
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.Match)]


def test_unions_stand_in_annotations_alone():
    """These are never evaluated."""
    tree = ast.parse(module_source())
    annotations = [
        node
        for one in ast.walk(tree)
        for node in (getattr(one, "annotation", None), getattr(one, "returns", None))
        if node is not None
    ]
    inside = {id(node) for annotation in annotations for node in ast.walk(annotation)}
    unions = [
        node for node in ast.walk(tree) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)
    ]
    types = [node for node in unions if "None" in ast.unparse(node) and id(node) not in inside]
    assert [ast.unparse(node) for node in types] == []


def test_its_parts_do_not_hide_each_other():
    names = Counter(
        name
        for node in ast.parse(module_source()).body
        for name in (
            [node.name]
            if isinstance(node, ast.ClassDef | ast.FunctionDef)
            else [target.id for target in node.targets if isinstance(target, ast.Name)]
            if isinstance(node, ast.Assign)
            else []
        )
    )
    assert [name for name, count in names.items() if count > 1] == []


def test_it_needs_numpy_and_the_standard_library_alone(shipped):
    code = "import sys, monitor; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = set(subprocess.check_output([sys.executable, "-c", code], cwd=shipped.folder, text=True).split())
    assert "paretune" not in loaded
    assert loaded - set(sys.stdlib_module_names) - {"monitor", "numpy", "_virtualenv"} <= {
        name for name in loaded if name.startswith(("_", "sitecustomize", "__"))
    }
