"""What names a PyTorch program: its code, its constants and, where they lie in one archive, its weights."""

from __future__ import annotations

import hashlib
import io
import pickletools
import re
import zipfile
from typing import Any

import torch
from torch import Tensor, nn

_MANGLED = re.compile(r"___torch_mangle_\d+\.?")  # names of classes that were taken in this process


def digest_of_script(program: Any) -> str:
    """Of a TorchScript module."""
    return _digest_of_archive(program.save_to_buffer())


def digest_of_exported(program: Any) -> str:
    """Of the module of an ExportedProgram, beside the values of its weights."""
    found = hashlib.sha256(program.code.encode())
    for name, tensor in sorted(_constants(program).items()):
        found.update(f"{name}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        found.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def _digest_of_archive(content: bytes) -> str:
    """Of a TorchScript archive, without what depends on how many were loaded before it."""
    members = []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            member = name.partition("/")[2]
            if not member.endswith(".debug_pkl") and not member.startswith(".data/"):
                members.append((_MANGLED.sub("", member), _plain(member, archive.read(name))))
    found = hashlib.sha256()
    for member, data in sorted(members):
        found.update(member.encode() + b"\0" + hashlib.sha256(data).digest())
    return found.hexdigest()


def _plain(member: str, data: bytes) -> bytes:
    if member.endswith(".pkl"):  # in which texts stand behind their lengths
        data = "\n".join(f"{code.name} {value!r}" for code, value, _ in pickletools.genops(data)).encode()
    elif not member.endswith(".py"):
        return data
    return _MANGLED.sub("", data.decode("utf-8", "replace")).encode()


def _constants(program: nn.Module) -> dict[str, Tensor]:
    """Tensors that its code reads beside the weights."""
    weights = set(program.state_dict())
    own = {name: one for name, one in vars(program).items() if isinstance(one, Tensor)}
    return {**own, **{name: one for name, one in program.named_buffers() if name not in weights}}
