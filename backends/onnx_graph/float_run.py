"""The float model run over samples, before anything is compiled: what does not load or run is explained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ...profiles.errors import UserError
from ...profiles.packages import versions
from ...profiles.words import listed
from ..contract.backend import Array, CalibrationData, batches
from .session import RUNTIME, OrtSession
from .subgraphs import all_nodes

if TYPE_CHECKING:
    from onnx import ModelProto

BATCH = 32
"""Rows at once where the model's batch is free."""
_KNOWN_DOMAINS = re.compile(r"^(|ai\.onnx(\.\w+)*|com\.microsoft(\.\w+)*)$")
_IR = re.compile(r"IR version: (\d+), max supported IR version: (\d+)")
_OPSET = re.compile(r"Opset (\d+) is under development.*?domain (\S+) is till opset (\d+)", re.DOTALL)
# What ONNX Runtime puts before a cause: its code, the place in its own source, the function there.
_HEAD = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |\S*/onnxruntime/\S+:\d+ [^\n]*?\) (?=[A-Z])")


class DoesNotRunError(UserError):
    """The model is loaded and raises on the data."""


class NewerIrError(UserError):
    """The file's IR version is newer than the runtime's; `newest` is what that reads."""

    newest: int = 0


class FloatRun:
    """A float model, loaded once.

    Raises:
        UserError: the runtime does not take it; says why and what to do.
    """

    def __init__(self, proto: ModelProto, place: str) -> None:
        self.place = place
        self._run = self._loaded(proto)

    def outputs(self, data: CalibrationData, batch: int) -> dict[str, Array]:
        """All outputs by name, for samples along axis 0; that many rows are run at once.

        Raises:
            UserError: it fails, or an output has not one row for each sample.
        """
        count = len(next(iter(data.values())))
        parts: dict[str, list[Array]] = {}
        for feed in batches(data, batch):
            for name, value in self._one(feed).items():
                if not value.ndim or len(value) != batch:
                    raise _no_samples(name, value, batch, self.place)
                parts.setdefault(name, []).append(value)
        return {name: np.concatenate(values)[:count] for name, values in parts.items()}

    def _one(self, feed: Mapping[str, Array]) -> dict[str, Array]:
        try:
            found: dict[str, Array] = self._run(feed)
        except Exception as error:  # each runtime has its own
            shapes = ", ".join(f"{name} {a.dtype}{list(a.shape)}" for name, a in feed.items())
            raise DoesNotRunError(
                "the float model does not run on the data",
                place=self.place,
                found=f"{_plain(error)} (inputs {shapes})",
                remedy="make model and splits fit each other, or export it anew with a free batch axis",
            ) from error
        return found

    def _loaded(self, proto: ModelProto) -> Any:
        try:
            session = OrtSession(proto.SerializeToString(), 1)
        except ImportError:
            from onnx.reference import ReferenceEvaluator

            names = [value.name for value in proto.graph.output]
            evaluator: Any = ReferenceEvaluator(proto)
            return lambda feed: dict(zip(names, evaluator.run(None, dict(feed)), strict=True))
        except Exception as error:  # onnxruntime's errors have no base class of their own
            raise _not_loaded(error, proto, self.place) from error
        return session.run_free


def _not_loaded(error: Exception, proto: ModelProto, place: str) -> UserError:
    runtime = f"{RUNTIME} {versions((RUNTIME,)).get(RUNTIME, '')}".strip()
    text = str(error)
    if found := _IR.search(text):
        newer = NewerIrError(
            f"the ONNX file is newer than {runtime}: IR version {found[1]}, it reads up to {found[2]}",
            place=place,
            remedy="install a newer onnxruntime, or export the model at an older opset",
        )
        newer.newest = int(found[2])
        return newer
    if found := _OPSET.search(text):
        return UserError(
            f"the ONNX file is newer than {runtime}: opset {found[1]}, it reads up to {found[3]}",
            place=place,
            remedy="install a newer onnxruntime, or convert the model down: "
            f"onnx.version_converter.convert_version(model, {found[3]})",
        )
    foreign = {(n.domain, n.op_type) for n in all_nodes(proto.graph) if not _KNOWN_DOMAINS.match(n.domain)}
    if foreign:
        return UserError(
            f"the model has operators of its own that {runtime} does not know",
            place=place,
            found=listed(f"{operator} of the domain {domain!r}" for domain, operator in sorted(foreign)),
            accepted="operators of ONNX, of ai.onnx.ml and of com.microsoft",
            remedy="export the model with standard operators in their place",
        )
    return UserError(
        f"{runtime} does not load the model", place=place, found=_plain(error), remedy="export it again"
    )


def _plain(error: Exception) -> str:
    """The cause as the runtime says it, which names the node, without what is about the runtime itself."""
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return _HEAD.sub("", _HEAD.sub("", first)).strip()[:400]


def _no_samples(name: str, value: Array, batch: int, place: str) -> UserError:
    return UserError(
        "an output has no sample along axis 0",
        place=place,
        found=f"{name!r} of shape {list(value.shape)} for {batch} samples",
        accepted=f"shape [{batch}, ...]",
        remedy="export the model so that each output has the batch as its first axis, and no other axis in "
        "front of it",
    )
