"""Python files of the user imported: their directory is searched after the standard library, never before."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path
from types import ModuleType

from ...profiles.errors import UserError
from ...profiles.guard.user_code import code_lies_in, user_code
from ...profiles.guard.user_place import is_ours, lies_in


def import_file(path: Path) -> ModuleType:
    """The module of a file, under a name of its own.

    Raises:
        UserCodeError: it cannot be imported.
    """
    make_importable(path.parent)
    name = f"{path.stem}_{hashlib.sha256(str(path).encode(errors='surrogateescape')).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and the like look their module up by name
    with user_code(f"workload file {path.name}"):
        spec.loader.exec_module(module)
    return module


def import_module(name: str, base: Path) -> tuple[ModuleType, Path, Path]:
    """The module of that name, its file, and the directory that its name begins in. Modules are looked for in
    `base`, too.

    Raises:
        UserCodeError: it cannot be imported.
        UserError: it has no file.
    """
    make_importable(base)
    with user_code(f"module {name}"):
        module = importlib.import_module(name)
    file = getattr(module, "__file__", None)
    if not isinstance(file, str) or not Path(file).is_file():
        raise UserError(
            "the workload's module has no file",
            place=name,
            found=f"{type(module).__name__} {name!r}",
            accepted="a Python module of your own: a file that defines the workload",
        )
    path = Path(file).absolute()
    code_lies_in(path.parent)
    _installed.packages.add(name.partition(".")[0])
    deep = name.count(".") + (path.name == "__init__.py")
    return module, path, path.parents[min(deep, len(path.parents) - 1)]


class _Installed(MetaPathFinder):
    """Packages that Paretune itself asks for, whatever files of the user have their names (a script onnx.py
    beside the study, say): parts of ours are imported long after the user's directory is searched.

    `directories` are theirs that are searched, `before` is what was searched before the first of them, and
    `packages` are those in which workloads lie, wherever they are."""

    def __init__(self) -> None:
        self.directories: set[str] = set()
        self.packages: set[str] = set()
        self.before: frozenset[str] = frozenset()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Where the package is installed; None for what is none of ours."""
        if path is not None or fullname not in _needed():
            return None
        return PathFinder.find_spec(
            fullname, [p for p in sys.path if str(Path(p).absolute()) not in self.directories]
        )


_installed = _Installed()


@cache
def _needed() -> frozenset[str]:
    try:
        wanted = requires(__name__.partition(".")[0]) or []
    except PackageNotFoundError:  # run from its source
        wanted = []
    names = (re.match(r"[\w.-]+", line) for line in wanted)
    return frozenset(name[0].replace("-", "_").lower() for name in names if name)


def make_importable(directory: Path) -> None:
    """Have modules looked for in a directory of the user's, too, after the standard library's."""
    code_lies_in(directory)
    text = str(directory.absolute())
    if _installed not in sys.meta_path:
        sys.meta_path.insert(0, _installed)
    if not _installed.directories:
        _installed.before = frozenset(sys.path)
    if text in _installed.directories and text in sys.path:
        sys.path.remove(text)  # of several studies in one process, the last one's comes first
    if text not in sys.path:
        sys.path.insert(next(filter(_comes_later, range(len(sys.path))), len(sys.path)), text)
    _installed.directories.add(text)


def _comes_later(position: int) -> bool:
    """Whether the user's directory is searched before this entry of the path. The standard library is not: a
    file queue.py beside the study is not what that means by `import queue`."""
    entry = str(sys.path[position])
    return Path(entry).name.endswith("-packages") or entry in _installed.directories


def forget_theirs() -> bool:
    """Have files of the user's read anew from now on, and those of earlier studies' directories found no
    more: in a process that works for one study after the other, a module that is loaded may have another
    content by now, or be another study's. What is ours stays, and what is found without their directories:
    what is installed, or on PYTHONPATH. Whether anything was loaded."""
    kept = [entry for entry in _installed.before if _is_in_directories(entry)]
    loaded = {name: module for name, module in [*sys.modules.items()] if _is_theirs(name, module, kept)}
    for name, module in loaded.items():
        del sys.modules[name]
        parent, _, child = name.rpartition(".")
        if vars(sys.modules.get(parent) or object).get(child) is module:
            delattr(sys.modules[parent], child)
    before, added = _installed.before, _installed.directories
    sys.path[:] = [
        one for one in sys.path if one in before or not (one in added or _is_in_directories(str(one)))
    ]
    _installed.directories.clear()
    _installed.packages.clear()
    importlib.invalidate_caches()
    return bool(loaded)


def _is_theirs(name: str, module: object, kept: Sequence[str]) -> bool:
    ours = name in ("__main__", "__mp_main__", __name__.partition(".")[0])
    if ours or not issubclass(type(module), ModuleType):
        return False
    known = vars(module)  # modules that make their attributes when they are asked for are not asked
    file = known.get("__file__")
    try:
        places = [file] if isinstance(file, str) else [str(place) for place in known.get("__path__", ())]
    except Exception:  # whatever an object of others does there
        return False
    if any(is_ours(place) for place in places):
        return False
    if name.partition(".")[0] in _installed.packages:
        return True
    return bool(places) and all(
        _is_in_directories(place) and not any(lies_in(place, entry) for entry in kept) for place in places
    )


def _is_in_directories(place: str) -> bool:
    return any(lies_in(place, directory) for directory in _installed.directories)
