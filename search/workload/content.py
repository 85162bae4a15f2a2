"""What names the content of a workload: digests of its data and files, and the modules that it imports."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...profiles.files import open_regular, sha256_of
from .workload import Split


def split_digest(split: Split) -> str:
    """SHA-256 of a split's content."""
    digest = hashlib.sha256()
    for name, array in [*split.inputs.items(), ("", split.labels)]:
        plain = np.ascontiguousarray(array)
        digest.update(f"{name}|{plain.dtype.str}|{plain.shape}|".encode())
        digest.update(plain.data)
    return digest.hexdigest()


def local_files(path: Path, root: Path) -> list[Path]:
    """`path` and every Python file below `root` that it imports, directly or not, sorted.

    Read from the source rather than from what happens to be loaded, so that imports inside functions count
    and every process finds the same list.
    """
    seen: set[Path] = set()
    todo = [path]
    while todo:
        file = todo.pop()
        if file not in seen:
            seen.add(file)
            todo += [found for found in _imported_files(file, root) if found not in seen]
    return sorted(seen)


def _imported_files(file: Path, root: Path) -> Iterator[Path]:
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError, OSError):
        return  # Python itself reports it, if the file is really imported
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(root, alias.name)
        elif isinstance(node, ast.ImportFrom):
            if node.level > len(file.parents):
                continue  # more dots than there are directories
            start = file.parents[node.level - 1] if node.level else root
            if not start.is_relative_to(root):
                continue
            yield from _module_files(start, node.module or "")
            for alias in node.names:
                yield from _module_files(start, f"{node.module or ''}.{alias.name}".lstrip("."))


def _module_files(start: Path, name: str) -> Iterator[Path]:
    place = start
    for part in name.split(".") if name else []:
        place = place / part
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                yield file


def bytes_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with open_regular(path) as file:
        return sha256_of(file)
