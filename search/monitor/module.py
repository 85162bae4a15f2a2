"""The recording module of a bundle as one file: the parts that travel, one after the other."""

from __future__ import annotations

import ast
from importlib.resources import files

MODULE = "monitor.py"
_PARTS = ("series", "tally", "log_file", "ledger", "recorder")  # each needs those before it


def module_source() -> str:
    """The source of the recording module: numpy and the standard library, Python 3.9."""
    folder = files("paretune.search.monitor")
    texts = [folder.joinpath(f"{part}.py").read_text(encoding="utf-8") for part in _PARTS]
    imports = sorted({line for text in texts for line in _imports(text)}, key=_place)
    head = ast.get_docstring(ast.parse(texts[-1]), clean=False)
    body = "\n\n".join(_without_head(text) for text in texts)
    return "\n".join([f'"""{head}"""', "", "from __future__ import annotations", "", *imports, "", "", body])


def _top(text: str) -> list[ast.stmt]:
    """The docstring and the imports at the top."""
    nodes = ast.parse(text).body
    return [node for at, node in enumerate(nodes) if at == 0 or isinstance(node, ast.Import | ast.ImportFrom)]


def _imports(text: str) -> list[str]:
    """The imports of others' modules."""
    nodes = [node for node in _top(text) if isinstance(node, ast.Import | ast.ImportFrom)]
    others = [n for n in nodes if isinstance(n, ast.Import) or (not n.level and n.module != "__future__")]
    return [ast.unparse(node) for node in others]


def _place(line: str) -> tuple[bool, str]:
    return "numpy" in line, line


def _without_head(text: str) -> str:
    last = max(node.end_lineno or 0 for node in _top(text))
    return "\n".join(text.splitlines()[last:]).strip("\n") + "\n"
