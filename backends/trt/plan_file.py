"""The file of a compiled model: a line of JSON that says what the plan is, then TensorRT's plan itself.

A plan alone does not say which TensorRT built it or which types the source model had, and TensorRT's own
answer to a foreign plan is a null pointer. Layout: `PARETUNE-TRT`, a space, the header as JSON, a newline,
the plan. To hand the plan to other tools, cut the file behind its first newline.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ...profiles.errors import UserError

MAGIC = b"PARETUNE-TRT "


@dataclass(frozen=True, kw_only=True)
class PlanHeader:
    """Where a plan comes from and what it takes.

    Module and version that built it, target device ("default": what the builder takes by itself), batch,
    SHA-256 of the ONNX graph that was built, and dtypes of the source model's inputs and outputs by name.
    """

    module: str
    version: str
    target: str
    batch: int
    graph: str
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)


def plan_content(header: PlanHeader, plan: bytes) -> bytes:
    """The content of a compiled model's file."""
    line = json.dumps(asdict(header), sort_keys=True, separators=(",", ":")).encode()
    return MAGIC + line + b"\n" + plan


def read_plan(path: Path) -> tuple[PlanHeader, bytes]:
    """Header and plan of a compiled model.

    Raises:
        UserError: the file is not one that `plan_content` made.
    """
    content = path.read_bytes()
    line, _, plan = content.partition(b"\n")
    if not line.startswith(MAGIC) or not plan:
        raise UserError(
            "not a TensorRT artifact",
            place=str(path),
            found=repr(content[:12]),
            accepted=f"a file that begins with {MAGIC.decode().strip()!r}",
            remedy="compile the model again",
        )
    return PlanHeader(**json.loads(line[len(MAGIC) :])), plan
