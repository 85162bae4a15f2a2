"""A LiteRT model in memory."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from ...profiles.errors import UnsupportedError
from ..contract.backend import Array, Feed, Session, TensorSpec
from ..contract.options import USUAL, Options, RuntimeOption, chosen
from ..contract.placement import ModelPlacement
from .placement import BUILTIN, XNNPACK_HAS, operators_of, place

# Distribution and module of the interpreter, the preferred one first. Both have the same interface.
INTERPRETERS = (
    ("ai-edge-litert", "ai_edge_litert.interpreter"),
    ("tflite-runtime", "tflite_runtime.interpreter"),
)

INSTALL = "pip install 'paretune[tflite]'"
XNNPACK = RuntimeOption(
    name="xnnpack",
    values=("on", "off"),
    default="on",
    does="whether XNNPACK computes what it can, or LiteRT's own kernels do",
)
SIGNATURE = "serving_default"
"""The signature that is run where a file has several."""
_DELEGATED = "DELEGATE"  # what a delegate has taken over shows as one more operator
_WEIGHTED = ("FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "EMBEDDING_LOOKUP")
_CANNOT_RUN = ("unsupported", "not supported", "Didn't find op", "failed to prepare")


def load_interpreter(name: str) -> Any:
    """The module of an interpreter.

    Raises:
        ImportError: it is missing, or would crash.
    """
    module = import_module(name)
    if name.startswith("tflite_runtime") and int(np.__version__.split(".")[0]) >= 2:
        # It imports, and crashes at the first interpreter: it was built against the older interface.
        raise ImportError(f"tflite-runtime needs numpy below 2, found {np.__version__}")
    return module


def interpreter_module() -> Any:
    """The module of the first interpreter that can be imported.

    Raises:
        ImportError: there is none.
    """
    for _, module in INTERPRETERS:
        try:
            return load_interpreter(module)
        except ImportError:
            continue
    raise ImportError(
        f"no TFLite interpreter is installed: {INSTALL}, or on a device pip install {INTERPRETERS[0][0]}"
    )


class TfliteSession(Session):
    """One interpreter. Tensors are addressed by the names of the model's signature, where there is
    none by their own."""

    def __init__(self, artifact: Path, threads: int, options: Options = USUAL) -> None:
        xnnpack = chosen(options, XNNPACK)[XNNPACK.name] == "on"
        module = interpreter_module()
        self._wanted = XNNPACK_HAS if xnnpack else BUILTIN
        self._interpreter = _prepared(module, artifact, threads, xnnpack)
        if any(one["op_name"] == _DELEGATED for one in self._interpreter._get_ops_details()):
            self.taken = {XNNPACK.name: "on"}
        if module.__name__.startswith("tflite_runtime"):
            _refuse_wrong_kernels(self._interpreter)
        inputs, outputs = self._ends()
        self.inputs = tuple(_spec(name, details) for name, details in inputs.items())
        self.outputs = tuple(_spec(name, details) for name, details in outputs.items())
        self._input_index = {name: int(details["index"]) for name, details in inputs.items()}
        self._output_index = {name: int(details["index"]) for name, details in outputs.items()}

    def _ends(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Details of inputs and outputs by name."""
        signatures = self._interpreter.get_signature_list()
        if not signatures:
            inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
            return _by_own_names(inputs, "input"), _by_own_names(outputs, "output")
        name = SIGNATURE if SIGNATURE in signatures else next(iter(signatures))
        # Kept no longer than this call: while it lives, invoke is refused.
        runner = self._interpreter.get_signature_runner(name)
        return _details(runner.get_input_details()), _details(runner.get_output_details())

    def _run(self, feed: Feed) -> dict[str, Array]:
        interpreter = self._interpreter
        for name, index in self._input_index.items():
            interpreter.set_tensor(index, feed[name])
        interpreter.invoke()
        return {name: interpreter.get_tensor(index) for name, index in self._output_index.items()}

    def placement(self, feed: Feed) -> ModelPlacement | None:
        tensors = {int(one["index"]): one for one in self._interpreter.get_tensor_details()}
        return place(operators_of(self._interpreter), tensors, self._wanted)

    def close(self) -> None:
        self._interpreter = None


def _prepared(module: Any, artifact: Path, threads: int, xnnpack: bool) -> Any:
    """An interpreter with its tensors allocated.

    Raises:
        UnsupportedError: it has no kernel for an operator of the model.
    """
    told: dict[str, Any] = {}
    if not xnnpack:
        told["experimental_op_resolver_type"] = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    try:
        interpreter = module.Interpreter(model_path=str(artifact), num_threads=threads, **told)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        text = " ".join(str(error).split())
        if any(sign in text for sign in _CANNOT_RUN):
            raise UnsupportedError(f"the interpreter cannot run the model: {text[:300]}") from error
        raise
    return interpreter


def _refuse_wrong_kernels(interpreter: Any) -> None:
    """tflite-runtime 2.14, the last one, runs weights with a scale per channel on activations that are not
    quantized and gives garbage (8-bit matrix products and embeddings, all with 4 bits, which look like 8).

    Raises:
        UnsupportedError: the model has such an operator.
    """
    tensors = {details["index"]: details for details in interpreter.get_tensor_details()}
    for operator in interpreter._get_ops_details():
        if operator["op_name"] not in _WEIGHTED:
            continue
        data, weight = (tensors[index] for index in operator["inputs"][:2])
        scales = len(weight["quantization_parameters"]["scales"])
        if data["dtype"] in (np.float32, np.int32) and weight["dtype"] == np.int8 and scales > 1:
            raise UnsupportedError(
                f"tflite-runtime gives wrong numbers for {operator['op_name']} with weights quantized per "
                "channel and activations that are not; install ai-edge-litert, or take fp32 or fp16"
            )


def _details(details: dict[str, Any]) -> dict[str, Any]:
    """A signature's tensors in the model's own order, which the interpreter's dictionary may not have."""
    return dict(sorted(details.items(), key=lambda item: int(item[1]["index"])))


def _by_own_names(details: Sequence[dict[str, Any]], kind: str) -> dict[str, Any]:
    names = end_names([str(one["name"]) for one in details], kind)
    return dict(zip(names, details, strict=True))


def end_names(names: Sequence[str], kind: str) -> list[str]:
    """What inputs or outputs are called by the names of their tensors: "input_0", ... where these do not tell
    them apart."""
    if len(set(names)) == len(names) and all(names):
        return list(names)
    return [f"{kind}_{number}" for number in range(len(names))]


def _spec(name: str, details: dict[str, Any]) -> TensorSpec:
    shape = tuple(int(size) for size in details["shape"])
    return TensorSpec(name=name, dtype=np.dtype(details["dtype"]).name, shape=shape)
