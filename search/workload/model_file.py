"""A model that a workload names by a file: which kind of file it is, by what stands in it."""

from __future__ import annotations

import re
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...profiles.errors import UserError
from ...profiles.files import head_of
from .workload import Workload

SCRIPT, EXPORTED = "TorchScript", "torch.export"
_ZIP, _PICKLE = b"PK", (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_ACCEPTED = (
    "an ONNX file, one in the format of an installed runtime, or a PyTorch program (TorchScript, .pt2)"
)
# What stands in the archive, below its one folder; the first that fits.
_MEMBERS = (
    (SCRIPT, re.compile(r"^[^/]+/constants\.pkl$")),
    (
        EXPORTED,
        re.compile(r"^([^/]+/)?(archive_format|models/[^/]+\.json|serialized_exported_program\.json)$"),
    ),
    ("weights", re.compile(r"^[^/]+/data\.pkl$")),
    ("keras", re.compile(r"^model\.weights\.h5$")),
)
_EXAMPLE = " (for the shipped example: python examples/onnx_only.py)"
_KERAS = "convert it: tf.lite.TFLiteConverter.from_keras_model(model)"
# Beginnings of other files in use, what they are, and what to do.
_OTHERS = (
    (b"\x89HDF", "an HDF5 file (Keras)", _KERAS),
    (b"GGUF", "a GGUF file", "give the PyTorch model that it was made from as `teacher`"),
    (b"ORTM", "a flatbuffer made of an ONNX file", "hand in the ONNX file that it was made from"),
)
_WEIGHTS_ONLY = (
    "build the model in a function, load the weights there, and give that: `teacher=build`, with "
    "`def build(): model = Net(); model.load_state_dict(torch.load(path)); return model`"
)

_ARCHIVES = {
    "weights": ("weights alone, or a pickled module, of torch.save", _WEIGHTS_ONLY),
    "keras": ("a Keras archive", _KERAS),
    "": ("an archive of something else", "export the model again"),
}


@dataclass(frozen=True)
class ProgramFile:
    """A PyTorch program on disk: called, it loads it as a workload's `teacher` builds a model."""

    path: Path
    kind: str

    def __call__(self) -> Any:
        """The ScriptModule or ExportedProgram, on the CPU.

        Raises:
            UserError: this PyTorch does not load it.
        """
        import torch

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of PyTorch about its own formats
            return self._loaded(torch)

    def _loaded(self, torch: Any) -> Any:
        try:
            if self.kind == SCRIPT:
                return torch.jit.load(str(self.path), map_location="cpu")
            return torch.export.load(self.path)
        except Exception as error:  # torch raises whatever its readers raise
            lines = [line.strip() for line in str(error).splitlines() if line.strip()]
            raise UserError(
                f"PyTorch {torch.__version__} does not load the {self.kind} file",
                place=str(self.path),
                found=f"{type(error).__name__}: {(lines or [''])[0][:300]}",
                remedy="save it again with this PyTorch (torch.jit.save, torch.export.save), or give a "
                "function that builds the nn.Module as `teacher`",
            ) from error


def model_path(workload: Workload, directory: Path) -> Path:
    """Absolute path of the workload's model file.

    Raises:
        UserError: it is not there.
    """
    assert workload.file is not None
    path = directory / workload.file
    if not path.is_file():
        named = "ONNX file" if workload.onnx is not None else "model file"
        raise UserError(
            f"the workload's {named} {'is no regular file' if path.exists() else 'does not exist'}",
            place=f"workload {workload.name}",
            found=str(path),
            remedy="put the file there, or run the script that makes it"
            + (_EXAMPLE if workload.onnx else ""),
        )
    return path


def program_in(path: Path) -> ProgramFile | None:
    """The PyTorch program that a file is; None where it is of another kind, or of none.

    Raises:
        UserError: it is known for what no workload can use.
    """
    head = head_of(path)
    for mark, what, remedy in _OTHERS:
        if mark in (head[: len(mark)], head[4 : 4 + len(mark)]):
            raise _no_model(path, what, remedy)
    if head.startswith(_PICKLE):
        raise _no_model(path, "a pickle (weights, or a whole module), which is not opened", _WEIGHTS_ONLY)
    if not head.startswith(_ZIP):
        return None
    kind = _kind_of_archive(path)
    if kind in (SCRIPT, EXPORTED):
        return ProgramFile(path, kind)
    raise _no_model(path, *_ARCHIVES[kind])


def _kind_of_archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
        if min((entry.header_offset for entry in entries), default=0):  # the index of an archive inside it
            raise zipfile.BadZipFile("its own index is missing")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UserError(
            "the model file is a damaged archive",
            place=str(path),
            found=str(error),
            remedy="copy or save it again: its end is missing, or it was changed",
        ) from error
    names = [entry.filename for entry in entries]
    found = (kind for kind, member in _MEMBERS if any(member.match(name) for name in names))
    return next(found, "")


def _no_model(path: Path, what: str, remedy: str) -> UserError:
    return UserError(
        "the file is no model that can be run", place=str(path), found=what, accepted=_ACCEPTED, remedy=remedy
    )
