"""Find the user's workload, run their code with errors that name their own lines, and name its content."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, TypeGuard, TypeVar

from ...profiles.errors import UserError
from ...profiles.files import is_file
from ...profiles.guard.user_code import UserCodeError, call, user_code
from ...profiles.guard.user_place import defined_at
from ...profiles.text.named import located, workload_parts
from ..record.digest import digest_of
from .arrays import brought_into_form
from .content import bytes_digest, local_files, split_digest
from .importing import import_file, import_module
from .model_file import model_path, program_in
from .onnx_file import weight_files
from .parts import check_untrained, checked_parts, plain_splits
from .workload import Splits, Workload

T = TypeVar("T")

_MISSING = object()
_FORMS = "file.py, file.py:name, or package.module:name"


@dataclass(frozen=True)
class LoadedWorkload:
    """A workload, where it came from, and digests of everything that it brings.

    `source_digest` covers the bytes of the workload's file and of the local modules that it imports, the
    options, and the bytes of the model's file if there is one. `files` has the digest of each of them, by its
    name below `root`.
    """

    workload: Workload
    directory: Path
    source_digest: str
    files: Mapping[str, str] = field(default_factory=dict)
    root: Path = Path()

    @property
    def given(self) -> Path | None:
        """Absolute path of the file of a model that exists only as a file, and is run as it is."""
        return None if self.workload.teacher is not None else model_path(self.workload, self.directory)

    @cached_property
    def splits(self) -> Splits:
        """The data, loaded once and brought into form.

        Raises:
            UserError: the user's function failed, or returned something that cannot be used.
        """
        return brought_into_form(self._given)

    @cached_property
    def _given(self) -> Splits:
        return plain_splits(self.call("splits", self.workload.splits), self.workload.name)

    @cached_property
    def data_digests(self) -> dict[str, str]:
        """Digest of each split's content (names, types, shapes, values of inputs and labels), as the user's
        function gave it."""
        _ = self.splits  # says what is wrong with them
        return {name: split_digest(split) for name, split in self._given.items()}

    @contextmanager
    def unchanged(self, what: str, function: object) -> Iterator[None]:
        """A block in which a function of the user's has the data.

        Raises:
            UserCodeError: it changed them: everything after would be scored on something else than the
                digests say.
        """

        def digests() -> dict[str, str]:  # what nobody may look at before the end is not looked at here
            return {name: split_digest(split) for name, split in self.splits.items() if name != "test"}

        before = digests()
        yield
        changed = [name for name, digest in digests().items() if digest != before[name]]
        if changed:
            raise UserCodeError(
                f"`{what}` of workload {self.workload.name} changed the data",
                place=defined_at(function),
                found=f"other values in {', '.join(changed)}",
                remedy="let it work on copies (array.copy(), tensor.clone())",
            )

    def call(self, what: str, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Call a function of the workload through the guard.

        Raises:
            UserCodeError: it failed.
        """
        return call(f"`{what}` of workload {self.workload.name}", function, *args, **kwargs)


def load_workload(reference: str, base: Path, options: Mapping[str, Any] | None = None) -> LoadedWorkload:
    """The workload that `reference` names: `file.py` (its object `workload`), `file.py:name` or
    `package.module:name`. Files are looked for below `base`. The object is a Workload, or a function that
    returns one and takes `options`.

    The user's directory is put on the import path of this process.

    Raises:
        UserError: nothing of that name, an error in the user's code, or not a Workload.
    """
    target, name = workload_parts(reference)
    if target.endswith(".py"):
        path = _existing(located(target, base), reference)
        root, module = path.parent, import_file(path)
    elif target and name:
        module, path, root = import_module(target, base)
    else:
        raise UserError("not a workload reference", found=repr(reference), accepted=_FORMS)
    workload = _resolve(module, name or "workload", reference, dict(options or {}))
    parts = {"object": name or "workload", "options": dict(options or {}), "own": dict(workload.options)}
    files = {str(file.relative_to(root)): bytes_digest(file) for file in local_files(path, root)}
    if workload.file is not None:
        workload = _with_program(workload, model_path(workload, path.parent), reference)
        files.update(_digests_of_model(workload, model_path(workload, path.parent)))
    try:
        digest = digest_of({**parts, "files": files})
    except (TypeError, ValueError, RecursionError) as error:
        raise UserError(
            "options must be plain values", place=reference, found=str(error), accepted="numbers, text, lists"
        ) from error
    return LoadedWorkload(workload, path.parent, digest, files, root)


def _with_program(workload: Workload, file: Path, reference: str) -> Workload:
    """With the file as its teacher, where that is a PyTorch program."""
    program = program_in(file)
    if program is not None:
        return replace(workload, teacher=program)
    check_untrained(workload, reference, "a file")
    return workload


def _digests_of_model(workload: Workload, file: Path) -> dict[str, str]:
    if workload.teacher is not None:
        return {"model": bytes_digest(file)}
    weights = weight_files(file)  # first of all: it says what is not to be opened
    beside = {f"onnx weights {number}": bytes_digest(one) for number, one in enumerate(weights)}
    return {"onnx": bytes_digest(file), **beside}  # so called whatever the format, as it always was


def _existing(path: Path, reference: str) -> Path:
    path = path.absolute()
    if is_file(path):
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


def _resolve(module: ModuleType, name: str, reference: str, options: dict[str, Any]) -> Workload:
    """The workload of that name, as plain values: what its attributes do happens here."""
    with user_code(f"object {name!r} of {reference}"):
        found = getattr(module, name, _MISSING)
    if found is _MISSING:
        there = [key for key, value in vars(module).items() if _is_workload(value)]
        raise UserError(
            f"no object {name!r} in the workload's module",
            place=reference,
            found=f"workloads there: {', '.join(there) or 'none'}",
            accepted=f"{_FORMS}; without a name the object is called `workload`",
        )
    if _is_workload(found) and options:
        raise UserError(
            "this workload takes no options",
            place=reference,
            found=", ".join(map(str, options)),
            remedy="remove the options, or name a function that takes them and returns a Workload",
        )
    if callable(found) and not _is_workload(found):
        check_arguments(found, options, f"function {name!r} of {reference}")
        found = call(f"function {name!r}", found, **options)
    if not _is_workload(found):
        raise UserError(
            "not a workload",
            place=reference,
            found=f"{name} is a {type(found).__name__}",
            accepted="a paretune.Workload, or a function that returns one",
        )
    return checked_parts(found, reference)


def _is_workload(value: object) -> TypeGuard[Workload]:
    """By its type alone: `isinstance` asks the object what it is."""
    return issubclass(type(value), Workload)


def check_arguments(function: Callable[..., Any], arguments: Mapping[str, Any], place: str) -> None:
    """Raise UserError where `function` cannot be called with these arguments by name."""
    try:
        with user_code(f"the signature of {place}", function=function):
            signature = inspect.signature(function)
    except UserCodeError as error:
        if isinstance(error.__cause__, (ValueError, TypeError)):
            return  # functions written in C have none: the call tells
        raise
    try:
        signature.bind(**arguments)
    except TypeError as error:
        where = ": ".join(filter(None, (defined_at(function), place)))
        raise UserCodeError(
            "arguments do not fit", place=where, found=str(error), accepted=f"{signature}"
        ) from error
