"""A .tflite file that is handed in: what it takes and gives, what quantized it, and its free axes closed."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...profiles.errors import UnsupportedError, UserError
from ...profiles.words import joined, listed
from ..contract.given import GivenFile, GivenTensor
from .inspect import read_model, stored_bytes, subgraphs, tensor_type, text_of
from .pack import rewritten
from .session import SIGNATURE, end_names, interpreter_module

_NAMES = {"float32", "float16", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64",
          "uint64", "bool"}  # fmt: skip
_CODES = ("int2", "int4", "int8", "uint8", "int16", "float16")
"""Types of tensors that stand for float32 ones."""


def read_given(path: Path) -> GivenFile:
    """What a file holds.

    Raises:
        UnsupportedError: it is damaged, or has what a workload cannot be; says which.
    """
    content = _whole(path)
    try:
        return _described(content)
    except (
        struct.error,
        IndexError,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        OverflowError,
    ) as error:
        raise UnsupportedError(f"the TFLite file is damaged: {type(error).__name__} {error}") from error


def with_shapes(content: bytes, shapes: Mapping[str, Sequence[int]]) -> bytes:
    """The file for inputs of these shapes; itself where it has them already."""
    graph = subgraphs(read_model(content))[0]
    places, _ = _ends(read_model(content), graph)
    wanted = {place: list(shapes[name]) for name, place in places.items()}
    if all(_shape(graph.Tensors(place)) == tuple(shape) for place, shape in wanted.items()):
        return content

    def change(model: Any) -> None:
        for place, shape in wanted.items():
            model.subgraphs[0].tensors[place].shape = np.asarray(shape, np.int32)

    return rewritten(content, change)


def quantizable(content: bytes) -> bytes:
    """The file as the quantizer asks for it: with a name of its own for each tensor, and without graphs that
    only other signatures run. Itself where it is so, or is quantized already."""
    model = read_model(content)
    tensors = [graph.Tensors(index) for graph in subgraphs(model) for index in range(graph.TensorsLength())]
    names = [text_of(one) for one in tensors]
    plain = len(subgraphs(model)) == 1 and len(set(names)) == len(names) and all(names)
    if plain or _quantized_by(model):
        return content

    def change(model: Any) -> None:
        if not any(_runs_graphs(operator) for operator in model.subgraphs[0].operators):
            model.subgraphs = model.subgraphs[:1]
            model.signatureDefs = [one for one in model.signatureDefs or () if not one.subgraphIndex]
        taken: set[bytes] = set()
        for number, tensor in enumerate(tensor for graph in model.subgraphs for tensor in graph.tensors):
            name = tensor.name or b"tensor"
            tensor.name = name if tensor.name and name not in taken else b"%s_%d" % (name, number)
            taken.add(tensor.name)

    return rewritten(content, change)


def _runs_graphs(operator: Any) -> bool:
    """Whether it has other graphs of the file as its parts."""
    options = (operator.builtinOptions, operator.builtinOptions2)
    return any("ubgraph" in field for one in options if one is not None for field in vars(one))


def signed(content: bytes) -> bytes:
    """The file with the one signature that tools ask for; itself where it has that."""
    model = read_model(content)
    graph = subgraphs(model)[0]
    if _signature(model) == SIGNATURE:
        return content
    ends, chosen = _ends(model, graph), _signature(model)

    def change(model: Any) -> None:
        from ai_edge_litert import schema_py_generated as schema

        made = schema.SignatureDefT()
        made.signatureKey, made.subgraphIndex = SIGNATURE.encode(), 0
        made.inputs, made.outputs = ([_tensor_map(*pair) for pair in end.items()] for end in ends)
        others = [one for one in model.signatureDefs or () if one.signatureKey != (chosen or "").encode()]
        model.signatureDefs = [made, *others]

    return rewritten(content, change)


def _tensor_map(name: str, place: int) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    made = schema.TensorMapT()
    made.name, made.tensorIndex = name.encode(), place
    return made


def _whole(path: Path) -> bytes:
    """Its bytes, if the interpreter's own check finds nothing in them that leads out of the file."""
    try:
        interpreter_module().Interpreter(model_path=str(path))
    except ImportError as error:
        raise UserError(
            "a TFLite file is read by the interpreter, which is not installed", found=str(error)
        ) from error
    except (RuntimeError, ValueError) as error:
        why = " ".join(str(error).split())[:300]
        raise UnsupportedError(f"the interpreter does not read the TFLite file: {why}") from error
    return path.read_bytes()


def _described(content: bytes) -> GivenFile:
    model = read_model(content)
    _refuse_flex(model)
    graphs = subgraphs(model)
    inputs, outputs = (
        tuple(_tensor(name, graphs[0].Tensors(place)) for name, place in ends.items())
        for ends in _ends(model, graphs[0])
    )
    fixed = [one.shape[0] for one in inputs if one.shape and one.shape[0] > 0]
    constants = list(_constants(model))
    ranks = [len(shape) for kind, shape in constants if kind == "float32"]
    return GivenFile(
        quantized=_quantized_by(model),
        largest_rank=max(ranks, default=0),
        source_format="tflite",
        title="TFLite",
        batch=max(fixed, default=0),
        inputs=inputs,
        outputs=outputs,
        parameters=sum(int(np.prod(shape, dtype=np.int64)) for _, shape in constants),
        notes=tuple(_notes(model, (*inputs, *outputs))),
    )


def _notes(model: Any, ends: Sequence[GivenTensor]) -> Iterator[str]:
    count = model.SignatureDefsLength()
    if not count:
        yield f"the file has no signature: {joined([one.name for one in ends])} are names of its tensors"
    elif count > 1:
        yield f"of {count} signatures of the file, {_signature(model)!r} is taken"
    for one in ends:
        if one.coded:
            code = f"(q {'-' if one.zero_point >= 0 else '+'} {abs(one.zero_point)})"
            yield (
                f"{one.name!r} is {one.dtype} in the file: a whole number q there stands for "
                f"{one.scale:.6g} * {code}; float inputs and outputs are converted so outside the model"
            )


def _refuse_flex(model: Any) -> None:
    codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
    custom = [(code.CustomCode() or b"").decode("utf-8", "replace") for code in codes]
    flex = sorted({name.removeprefix("Flex") for name in custom if name.startswith("Flex")})
    if flex:
        raise UnsupportedError(
            f"the file has operators of TensorFlow itself ({listed(flex)}), which LiteRT's interpreter does "
            "not have: convert the model without SELECT_TF_OPS"
        )


def _signature(model: Any) -> str | None:
    """The signature that is meant; None where there is none.

    Raises:
        UnsupportedError: it is not plain which, or it is one of a part that the interpreter does not start.
    """
    found = [model.SignatureDefs(index) for index in range(model.SignatureDefsLength())]
    keys = {(one.SignatureKey() or b"").decode("utf-8", "replace"): one for one in found}
    if not keys:
        return None
    name = SIGNATURE if SIGNATURE in keys else next(iter(keys))
    if len(keys) > 1 and name != SIGNATURE:
        raise UnsupportedError(
            f"the file has the signatures {joined([repr(key) for key in keys])}: which is meant? Convert "
            f"the model with that one alone, or call it {SIGNATURE!r}"
        )
    if keys[name].SubgraphIndex():
        raise UnsupportedError(
            f"the signature {name!r} is that of subgraph {keys[name].SubgraphIndex()}, and only the first is "
            "run: convert the model with that signature alone"
        )
    return name


def _ends(model: Any, graph: Any) -> tuple[dict[str, int], dict[str, int]]:
    """Tensors of inputs and outputs by name, in the order of the graph."""
    name = _signature(model)
    places = (
        [graph.Inputs(i) for i in range(graph.InputsLength())],
        [graph.Outputs(i) for i in range(graph.OutputsLength())],
    )
    if name is None:
        texts = [[text_of(graph.Tensors(place)) for place in group] for group in places]
        named = [end_names(group, kind) for group, kind in zip(texts, ("input", "output"), strict=True)]
        return dict(zip(named[0], places[0], strict=True)), dict(zip(named[1], places[1], strict=True))
    found = [model.SignatureDefs(index) for index in range(model.SignatureDefsLength())]
    chosen = next(one for one in found if (one.SignatureKey() or b"").decode("utf-8", "replace") == name)
    inputs = [chosen.Inputs(i) for i in range(chosen.InputsLength())]
    outputs = [chosen.Outputs(i) for i in range(chosen.OutputsLength())]
    return _in_order(inputs, places[0]), _in_order(outputs, places[1])


def _in_order(maps: Sequence[Any], places: Sequence[int]) -> dict[str, int]:
    found = {(one.Name() or b"").decode("utf-8", "replace"): int(one.TensorIndex()) for one in maps}
    order = {place: number for number, place in enumerate(places)}
    return dict(sorted(found.items(), key=lambda item: order.get(item[1], len(order))))


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(tensor.Shape(i)) for i in range(tensor.ShapeLength()))


def _tensor(name: str, tensor: Any) -> GivenTensor:
    kind = tensor_type(tensor)
    if kind not in _NAMES:
        raise UnsupportedError(f"{name!r} holds {kind}, and samples are arrays of numbers")
    free = [int(tensor.ShapeSignature(i)) for i in range(tensor.ShapeSignatureLength())]
    shape = _shape(tensor)
    shape = tuple(free) if len(free) == len(shape) else shape
    params = tensor.Quantization()
    one = params is not None and params.ScaleLength() == 1
    return GivenTensor(
        name=name,
        dtype=kind,
        shape=shape,
        scale=float(params.Scale(0)) if one else 0.0,
        zero_point=int(params.ZeroPoint(0)) if one and params.ZeroPointLength() else 0,
    )


def _constants(model: Any) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Types and shapes of the weights: constants that are float or stand for floats, each buffer once."""
    seen: set[int] = set()
    for graph in subgraphs(model):
        for index in range(graph.TensorsLength()):
            tensor = graph.Tensors(index)
            stored = stored_bytes(model.Buffers(tensor.Buffer()))
            if not stored or tensor.Buffer() in seen:
                continue
            kind = tensor_type(tensor)
            if kind == "float32" or _codes(tensor, kind) or (kind == "int32" and _scaled(tensor)):
                seen.add(tensor.Buffer())
                yield kind, _shape(tensor)


def _scaled(tensor: Any) -> bool:
    params = tensor.Quantization()
    return params is not None and params.ScaleLength() > 0


def _codes(tensor: Any, kind: str) -> bool:
    return kind == "float16" or (kind in _CODES and _scaled(tensor))


def _quantized_by(model: Any) -> str:
    """ "int8 (34 tensors)"; empty where all is float32."""
    tensors = [graph.Tensors(index) for graph in subgraphs(model) for index in range(graph.TensorsLength())]
    found = Counter(kind for one in tensors if _codes(one, kind := tensor_type(one)))
    return listed(f"{kind} ({count} tensors)" for kind, count in sorted(found.items()))
