"""PyTorch to TFLite once more from what litert_torch had before it put the weights in. Needs PyTorch.

litert_torch traces a module, takes it apart and lowers it to MLIR, where each weight is a constant in front
of all else; what follows takes a fiftieth of the time. The MLIR is kept, and its constants are made anew by
litert_torch itself, which clamps infinite numbers and has a form of its own for those that are all alike.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from ..contract.backend import Feed
from ..contract.torch_module import tensors_of, weights_of
from .export import convert, is_wide


@dataclass(frozen=True, kw_only=True)
class TfliteTrace:
    """A lowered module. `places` has for each constant in front of it the name of the weight, "" for one of
    the code's own; `weights` their shapes and types."""

    mlir: bytes
    places: tuple[str, ...]
    weights: Mapping[str, Any]
    inputs: Any
    outputs: Any
    call: Any


@dataclass
class _Seen:
    """What was seen of one conversion."""

    traced: set[int] = field(default_factory=set)
    constants: list[tuple[str, Any]] = field(default_factory=list)
    lowered: list[tuple[bytes, Any, Any]] = field(default_factory=list)


def write_tflite_traced(module: Any, feed: Feed, path: Path) -> TfliteTrace | None:
    """As `write_tflite`; returns what `write_tflite_again` takes, None where that cannot be had."""
    own = weights_of(module)
    seen = _Seen()
    with _watched(seen):
        path.write_bytes(convert(module, feed))
    return _trace(seen, own)


def write_tflite_again(trace: TfliteTrace, weights: Mapping[str, Any], feed: Feed, path: Path) -> None:
    """Write the file of the traced module with other weights.

    Raises:
        ValueError: they are not those of that module.
    """
    if any(name not in weights or _kind(weights[name]) != kind for name, kind in trace.weights.items()):
        raise ValueError("other weights than those of the traced module")
    converter = import_module("litert_torch._convert.litert_converter")
    signature = import_module("litert_torch._convert.signature")
    named = import_module("litert_torch.model").DEFAULT_SIGNATURE_NAME
    lowering = import_module("litert_torch.backend.export")
    how = signature.Signature(named, None, None, tensors_of(feed))

    def lowered(program: Any, *, ir_context: Any, **_: Any) -> Any:
        return SimpleNamespace(
            module=_filled(trace, weights, ir_context),
            input_signature=trace.inputs,
            output_signature=trace.outputs,
        )

    with patch.object(lowering, "exported_program_to_mlir", lowered):
        program = SimpleNamespace(call_spec=trace.call)
        made = converter.exported_programs_to_flatbuffer([program], [how], enable_x64=is_wide(feed))
        path.write_bytes(made.to_bytes())


def _filled(trace: TfliteTrace, weights: Mapping[str, Any], context: Any) -> Any:
    """The lowered module with other weights."""
    ir = import_module("litert_converter.mlir.ir")
    inline = import_module("litert_torch.backend.inline_consts")
    lowerings = import_module("litert_torch.backend.lowerings")
    with context, ir.Location.unknown():
        module = ir.Module.parse(trace.mlir)
        lowering = lowerings.context.LoweringContext(context, module)
        lowering.add_plugin(inline.InlineConstsContext())
        # Copies, since numbers may be clamped in place; all at once, since constants are told apart by where
        # they lie in memory.
        copies = {place: weights[place].detach().contiguous().clone() for place in trace.places if place}
        for place, constant in zip(trace.places, _constants(module, len(trace.places)), strict=True):
            if not place:
                continue
            with ir.InsertionPoint(constant):
                made = inline.tensor_lowering_placeholder_lowering(lowering, copies[place])
            if made.type != constant.results[0].type:
                raise ValueError(f"the constant of {place} has another type")
            constant.attributes["value"] = made.owner.attributes["value"]
            made.owner.erase()
    return module


def _constants(module: Any, count: int) -> list[Any]:
    """The first operations of the main function, which are the weights.

    Raises:
        ValueError: they are not.
    """
    main = next(iter(module.body.operations))
    found = [
        one.operation for one, _ in zip(main.regions[0].blocks[0].operations, range(count), strict=False)
    ]
    if len(found) < count or any(one.name != "arith.constant" for one in found):
        raise ValueError("the weights are not in front of the lowered module")
    return found


def _trace(seen: _Seen, own: Mapping[str, Any]) -> TfliteTrace | None:
    """What was seen, if every constant is a weight as it is, or one that the trace itself had."""
    if len(seen.lowered) != 1:
        return None
    places = []
    for name, tensor in seen.constants:
        is_own = (
            name in own and tensor.data_ptr() == own[name].data_ptr() and _kind(tensor) == _kind(own[name])
        )
        if not is_own and tensor.data_ptr() not in seen.traced:
            return None
        places.append(name if is_own else "")
    mlir, lowered, call = seen.lowered[0]
    return TfliteTrace(
        mlir=mlir,
        places=tuple(places),
        weights={name: _kind(own[name]) for name in places if name},
        inputs=lowered.input_signature,
        outputs=lowered.output_signature,
        call=call,
    )


def _kind(tensor: Any) -> tuple[Any, ...]:
    return tuple(tensor.shape), str(tensor.dtype), tensor.stride()


@contextmanager
def _watched(seen: _Seen) -> Iterator[None]:
    """Sees what litert_torch does in three places, where it has them."""
    core = import_module("litert_torch._convert.core")
    lowering = import_module("litert_torch.backend.export")
    to_torch, to_mlir = core.export_torch_signature, lowering.exported_program_to_mlir
    inlined = lowering.inline_consts_lib.inline_consts

    def traced(*args: Any, **kwargs: Any) -> Any:
        program = to_torch(*args, **kwargs)
        constants = [one for one in program.constants.values() if hasattr(one, "data_ptr")]
        seen.traced |= {one.data_ptr() for one in constants}
        return program

    def inline(program: Any) -> None:
        specs = [one for one in program.graph_signature.input_specs if one.kind.name != "USER_INPUT"]
        tensors = program._graph_module_flat_inputs(*program.example_inputs)
        seen.constants = [(spec.target or "", tensor) for spec, tensor in zip(specs, tensors, strict=False)]
        inlined(program)

    def lower(program: Any, **kwargs: Any) -> Any:
        made = to_mlir(program, **kwargs)
        seen.lowered.append((made.module_bytecode, made, program.call_spec))
        return made

    with ExitStack() as stack:
        stack.enter_context(patch.object(core, "export_torch_signature", traced))
        stack.enter_context(patch.object(lowering, "exported_program_to_mlir", lower))
        stack.enter_context(patch.object(lowering.inline_consts_lib, "inline_consts", inline))
        yield
