"""Find the user's workload, run their code with errors that name their own lines, and name its content."""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from ...profiles.errors import ParetuneError, UserError
from ..record.digest import digest_of
from .arrays import brought_into_form
from .content import bytes_digest, local_files, split_digest
from .onnx_file import weight_files
from .parts import checked_parts
from .workload import Splits, Workload

T = TypeVar("T")

_FORMS = "file.py, file.py:name, or package.module:name"


@dataclass(frozen=True)
class LoadedWorkload:
    """A workload, where it came from, and digests of everything that it brings.

    `source_digest` covers the bytes of the workload's file and of the local modules that it imports, the
    options, and the bytes of the ONNX file if there is one.
    """

    workload: Workload
    directory: Path
    source_digest: str

    @property
    def onnx(self) -> Path | None:
        """Absolute path of the ONNX file of a model that exists only as ONNX."""
        return None if self.workload.onnx is None else onnx_path(self.workload, self.directory)

    @cached_property
    def splits(self) -> Splits:
        """The data, loaded once and brought into form.

        Raises:
            UserError: the user's function failed, or returned something that cannot be used.
        """
        return brought_into_form(self._given)

    @cached_property
    def _given(self) -> Splits:
        splits = self.call("splits", self.workload.splits)
        if not isinstance(splits, Splits):
            raise UserError(
                "`splits` did not return a Splits",
                place=f"workload {self.workload.name}",
                found=type(splits).__name__,
                accepted="paretune.Splits(train=..., calibration=..., validation=..., test=...)",
            )
        return splits

    @cached_property
    def data_digests(self) -> dict[str, str]:
        """Digest of each split's content (names, types, shapes, values of inputs and labels), as the user's
        function gave it."""
        _ = self.splits  # says what is wrong with them
        return {name: split_digest(split) for name, split in self._given.items()}

    def call(self, what: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call the user's code; what it raises becomes an error that names their file and line.

        Raises:
            UserError: the user's code raised.
        """
        with _user_code(f"`{what}` of workload {self.workload.name}", self.directory):
            return function(*args, **kwargs)


def load_workload(reference: str, base: Path, options: Mapping[str, Any] | None = None) -> LoadedWorkload:
    """The workload that `reference` names: `file.py` (its object `workload`), `file.py:name` or
    `package.module:name`. Files are looked for below `base`. The object is a Workload, or a function that
    returns one and takes `options`.

    The user's directory is put on the import path of this process.

    Raises:
        UserError: nothing of that name, an error in the user's code, or not a Workload.
    """
    target, _, name = reference.partition(":")
    if target.endswith(".py"):
        path = _existing(base / target, reference)
        root, module = path.parent, _import_file(path)
    elif name:
        root, module = base, _import_module(target, base)
        path = Path(module.__file__ or "")
        root = path.parents[target.count(".") + (path.name == "__init__.py")]
    else:
        raise UserError("not a workload reference", found=repr(reference), accepted=_FORMS)
    workload = _resolve(module, name or "workload", reference, root, dict(options or {}))
    parts = {"object": name or "workload", "options": dict(options or {}), "own": dict(workload.options)}
    files = {str(file.relative_to(root)): bytes_digest(file) for file in local_files(path, root)}
    if workload.onnx is not None:
        model = onnx_path(workload, path.parent)
        files["onnx"] = bytes_digest(model)
        weights = [file for file in weight_files(model) if file.is_file()]
        files.update({f"onnx weights {number}": bytes_digest(file) for number, file in enumerate(weights)})
    try:
        digest = digest_of({**parts, "files": files})
    except TypeError as error:
        raise UserError(
            "options must be plain values", place=reference, found=str(error), accepted="numbers, text, lists"
        ) from error
    return LoadedWorkload(workload, path.parent, digest)


def onnx_path(workload: Workload, directory: Path) -> Path:
    """Absolute path of the workload's ONNX file.

    Raises:
        UserError: it is not there.
    """
    assert workload.onnx is not None
    path = directory / workload.onnx
    if not path.is_file():
        raise UserError(
            "the workload's ONNX file does not exist",
            place=f"workload {workload.name}",
            found=str(path),
            remedy="put the file there, or run the script that makes it "
            "(for the shipped example: python examples/onnx_only.py)",
        )
    return path


def _existing(path: Path, reference: str) -> Path:
    path = path.absolute()
    if path.is_file():
        return path
    directory = path.parent
    names = sorted(file.name for file in directory.glob("*.py")) if directory.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=3)
    raise UserError(
        "no such workload file",
        place=reference,
        found=f"nothing at {path}" if directory.is_dir() else f"no directory {directory}",
        accepted=_FORMS,
        remedy=f"did you mean {' or '.join(near)}?" if near else "check the path, relative to the study file",
    )


def _import_file(path: Path) -> ModuleType:
    _make_importable(path.parent)
    name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and the like look their module up by name
    with _user_code(f"workload file {path.name}", path.parent):
        spec.loader.exec_module(module)
    return module


def _import_module(name: str, base: Path) -> ModuleType:
    _make_importable(base)
    with _user_code(f"module {name}", base):
        return importlib.import_module(name)


def _make_importable(directory: Path) -> None:
    text = str(directory.absolute())
    if text not in sys.path:
        sys.path.insert(0, text)


def _resolve(module: ModuleType, name: str, reference: str, root: Path, options: dict[str, Any]) -> Workload:
    if not hasattr(module, name):
        there = [key for key, value in vars(module).items() if isinstance(value, Workload)]
        raise UserError(
            f"no object {name!r} in the workload's module",
            place=reference,
            found=f"workloads there: {', '.join(there) or 'none'}",
            accepted=f"{_FORMS}; without a name the object is called `workload`",
        )
    found = getattr(module, name)
    if isinstance(found, Workload) and options:
        raise UserError(
            "this workload takes no options",
            place=reference,
            found=", ".join(options),
            remedy="remove the options, or name a function that takes them and returns a Workload",
        )
    if callable(found):
        check_arguments(found, options, f"function {name!r} of {reference}")
        with _user_code(f"function {name!r}", root):
            found = found(**options)
    if not isinstance(found, Workload):
        raise UserError(
            "not a workload",
            place=reference,
            found=f"{name} is a {type(found).__name__}",
            accepted="a paretune.Workload, or a function that returns one",
        )
    return checked_parts(found, reference)


def check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any], place: str) -> None:
    """Raise UserError where `function` cannot be called with these arguments by name."""
    signature = inspect.signature(function)
    try:
        signature.bind(**arguments)
    except TypeError as error:
        raise UserError(
            "arguments do not fit", place=place, found=str(error), accepted=f"{signature}"
        ) from error


@contextmanager
def _user_code(what: str, directory: Path) -> Iterator[None]:
    try:
        yield
    except ParetuneError:
        raise
    except Exception as error:
        raise UserError(
            f"{what} raised {type(error).__name__}: {error}",
            place=_place_of(error, directory),
            remedy=_remedy_for(error),
        ) from error


def _place_of(error: Exception, directory: Path) -> str:
    """File and line of the user's own code that came last before the error."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    inside = str(directory.absolute())
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(inside)]
    return f"{frames[-1].filename}, line {frames[-1].lineno}" if frames else ""


def _remedy_for(error: Exception) -> str:
    if isinstance(error, ModuleNotFoundError):
        return f"install {error.name!r} into this environment ({sys.prefix}), or correct the import"
    return "correct the code at the place named above"
