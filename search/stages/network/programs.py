"""PyTorch programs as networks: TorchScript and what torch.export made, which run as they are.

They hold no modules of a user's class, so that nothing can be cut out of them or fake-quantized: that needs
the nn.Module that they were made from.
"""

from __future__ import annotations

import copy
import inspect
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, fx, nn
from torch.utils import _pytree as pytree

from ....profiles.errors import UnsupportedError, UserError
from ....profiles.words import listed
from .program_digest import digest_of_exported, digest_of_script

M = TypeVar("M", bound=nn.Module)
SCRIPT, EXPORTED = "TorchScript", "torch.export"
GIVE_MODULE = "give the nn.Module that it was made from as `teacher`"
_SUFFIX = re.compile(r"\.\d+$")  # that TorchScript appends to tell values apart


class Program(nn.Module):
    """One program behind the interface of a module: inputs in order or by name, modes that it may not have.

    `kind` is what messages call it, `names` are its inputs, of which the first `needed` must be given.
    `by_name` are those that it takes by name alone. `most` is the most samples that it takes at once (0: any
    number): more are given to it in parts.
    """

    def __init__(
        self,
        program: nn.Module,
        kind: str,
        names: Sequence[str],
        needed: int,
        by_name: int = 0,
        most: int = 0,
    ) -> None:
        super().__init__()
        self.program, self.kind, self.most = program, kind, most
        self.names, self.needed, self.by_name = tuple(names), needed, by_name

    def forward(self, *inputs: Tensor, **named: Tensor) -> Any:
        """What the program gives."""
        given = {**dict(zip(self.names, inputs, strict=False)), **named}
        if not self.most or torch.compiler.is_exporting():  # which would take a length for a constant
            return self._call(given)
        rows, parts = len(next(iter(given.values()))), []
        if rows <= self.most:
            return self._call(given)
        for start in range(0, rows, self.most):
            part = {name: tensor[start : start + self.most] for name, tensor in given.items()}
            parts.append(pytree.tree_flatten(self._call(part)))
        together = [torch.cat(tensors) for tensors in zip(*(leaves for leaves, _ in parts), strict=True)]
        return pytree.tree_unflatten(together, parts[0][1])

    def __deepcopy__(self, memo: dict[int, Any]) -> Program:
        """PyTorch's own copies of TorchScript modules have results of other tensors as weights."""
        program: Any = self.program
        jit: Any = torch.jit
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self.kind == SCRIPT:
                program = jit.load(io.BytesIO(program.save_to_buffer()))
            else:
                program = copy.deepcopy(program, memo)
        made = Program(program, self.kind, self.names, self.needed, self.by_name, self.most)
        made.training = self.training
        return made

    def _call(self, given: Mapping[str, Tensor]) -> Any:
        ordered = [name for name in self.names if name in given]
        places = len(self.names) - self.by_name
        whole = ordered == list(self.names[: len(ordered)])
        first = ordered[:places] if whole else []
        return self.program(*(given[n] for n in first), **{n: given[n] for n in ordered[len(first) :]})

    def train(self, mode: bool = True) -> Program:
        """Programs of torch.export have the mode that they were exported in."""
        if self.kind == SCRIPT:
            super().train(mode)
        self.training = mode
        return self

    @property
    def parameters_of_forward(self) -> list[inspect.Parameter]:
        """As `inspect.signature` has them."""
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return [
            inspect.Parameter(name, kind, default=inspect.Parameter.empty if number < self.needed else None)
            for number, name in enumerate(self.names)
        ]

    @property
    def frozen_weights(self) -> int:
        """The number of weights that stand in the code of a frozen TorchScript module."""
        if self.kind != SCRIPT:
            return 0
        graph: Any = self.program
        graph = graph.inlined_graph  # which its nodes do not keep alive
        constants = graph.findAllNodes("prim::Constant")
        tensors = (
            one.t("value") for one in constants if one.hasAttribute("value") and one.kindOf("value") == "t"
        )
        return sum(tensor.numel() for tensor in tensors if tensor.is_floating_point() and tensor.ndim)

    @property
    def digest(self) -> str:
        """What the program does."""
        program: Any = self.program
        return digest_of_script(program) if self.kind == SCRIPT else digest_of_exported(program)

    def traceable(self, sample: Sequence[Tensor]) -> nn.Module:
        """The program as exporters on torch.export take it, for inputs like these; itself where it cannot be
        had so."""
        if self.kind != SCRIPT:
            return self
        try:
            from torch._export.converter import TS2EPConverter

            with torch.no_grad():
                program: Any = (
                    traced(self, dict(zip(self.names, sample, strict=False)))
                    if len(sample) < len(self.names)
                    else self.program
                )
                converter: Any = TS2EPConverter(program, tuple(sample))
                made = converter.convert().module(check_guards=False)
        except Exception:  # whatever the converter, or a PyTorch without it, raises
            return self
        return Program(made, EXPORTED, self.names[: len(sample)], self.needed)


def as_network(made: Any) -> Any:
    """A TorchScript module, an ExportedProgram or its module as a `Program`; anything else as it is.

    Raises:
        UserError: it is bound to one number of samples, or takes something else than tensors.
    """
    if isinstance(made, torch.jit.ScriptModule):
        return _of_script(made)
    if isinstance(made, torch.export.ExportedProgram):
        ends = {str(symbol): (ends.lower, ends.upper) for symbol, ends in made.range_constraints.items()}
        return _of_exported(made.module(), ends)
    if isinstance(made, fx.GraphModule) and isinstance(made.graph._codegen, fx.graph._PyTreeCodeGen):
        return _of_exported(made, {})
    return made


def traceable(wrapper: M, sample: Mapping[str, Tensor]) -> M:
    """A wrapper around `model`, the same around what torch.export takes, for inputs like these."""
    model: Any = wrapper.model
    if not isinstance(model, Program):
        return wrapper
    other = copy.copy(wrapper)
    other._modules = {**wrapper._modules, "model": model.traceable(list(sample.values()))}
    return other


def traced(wrapper: nn.Module, sample: Mapping[str, Tensor]) -> nn.Module:
    """A wrapper around TorchScript as TorchScript with these inputs; one around anything else as it is."""
    model: Any = wrapper if isinstance(wrapper, Program) else wrapper.model
    if not isinstance(model, Program) or model.kind != SCRIPT:
        return wrapper
    jit: Any = torch.jit
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: nn.Module = jit.trace(wrapper, tuple(sample.values()), check_trace=False)
    return found


def refuse_script(model: nn.Module, title: str) -> None:
    """Raise UnsupportedError for TorchScript of which no program of torch.export could be made."""
    if isinstance(model, Program) and model.kind == SCRIPT:
        raise UnsupportedError(
            f"{title} files are made from torch.export, to which this TorchScript program cannot be brought: "
            f"{GIVE_MODULE}"
        )


def refuse_program(model: nn.Module, what: str) -> None:
    """Raise UnsupportedError where a model is a program, of which this cannot be had."""
    if isinstance(model, Program):
        raise UnsupportedError(f"the teacher is a program ({model.kind}), {what}: {GIVE_MODULE}")


def _of_script(made: torch.jit.ScriptModule) -> Program:
    cpp: Any = made._c
    if not cpp._has_method("forward"):
        raise UserError(
            "the TorchScript module has no forward method", accepted="one whose forward takes tensors"
        )
    _refuse_quantized({node.kind() for node in _all_nodes(made.inlined_graph)})
    arguments = cpp._get_method("forward").schema.arguments[1:]
    needed = sum(not argument.has_default_value() for argument in arguments)
    return Program(made, SCRIPT, [_SUFFIX.sub("", argument.name) for argument in arguments], needed)


def _of_exported(made: Any, ranges: Mapping[str, tuple[Any, Any]]) -> Program:
    made = _in_evaluation(made)
    info = made.graph._codegen.pytree_info
    places, named = (spec.children() for spec in info.in_spec.children())
    inputs = [node.meta.get("val") for node in made.graph.nodes if node.op == "placeholder"]
    names = list(info.orig_args)
    plain = all(spec.is_leaf() for spec in (*places, *named)) and len(inputs) == len(names)
    if not plain or not all(isinstance(one, Tensor) for one in inputs):
        raise UserError(
            "the exported program takes something else than one tensor for each argument",
            found=f"arguments {', '.join(names)}",
            remedy=f"export a module that takes tensors, or {GIVE_MODULE}",
        )
    _refuse_quantized({str(node.target) for node in made.graph.nodes})
    batches = [ranges[key] for one in inputs if one.ndim and (key := str(one.shape[0])) in ranges]
    _refuse_fixed(names, inputs, max([int(least) for least, _ in batches if least.is_Integer], default=0))
    most = min([int(end) for _, end in batches if getattr(end, "is_Integer", False)], default=0)
    return Program(made, EXPORTED, names, len(names), by_name=len(named), most=most)


def _in_evaluation(made: Any) -> Any:
    """An exported module without what it does in training alone: programs have no mode that could be set."""
    trains = {torch.ops.aten.dropout.default: 2, torch.ops.aten.batch_norm.default: 5}
    found = [(node, trains[node.target]) for node in made.graph.nodes if node.target in trains]
    if not any(node.args[place] for node, place in found):
        return made
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other = copy.deepcopy(made)
    for node in other.graph.nodes:
        if node.target in trains:
            node.update_arg(trains[node.target], False)
    other.recompile()
    return other


def _all_nodes(graph: Any) -> Iterator[Any]:
    for node in graph.nodes():
        yield node
        for block in node.blocks():
            yield from _all_nodes(block)


def _refuse_quantized(operators: Iterable[str]) -> None:
    found = sorted(name for name in operators if name.startswith(("quantized", "torchao")))
    if found:
        raise UserError(
            "the program is quantized already, in a form of PyTorch's own that no runtime reads",
            found=listed(found),
            remedy="give the float model that it was made from, or hand in the ONNX or other file that a "
            "runtime's own tools made of it",
        )


def _refuse_fixed(names: Sequence[str], inputs: Sequence[Any], least: int) -> None:
    """Raise UserError where not every number of samples can be run at once."""
    fixed = {name: one.shape[0] for name, one in zip(names, inputs, strict=True) if one.ndim}
    fixed = {name: size for name, size in fixed.items() if isinstance(size, int)}
    if not fixed and least <= 2:  # which stands for any number: exporters take one for a special case
        return
    name, size = next(iter(fixed.items()), (names[0], least))
    shapes = ", ".join(f"{one!r}: {{0: torch.export.Dim('batch')}}" for one in names)
    raise UserError(
        f"the exported program takes {size} samples at once and no other number"
        if fixed
        else f"the exported program takes {size} samples at once and no fewer",
        found=f"input {name!r} of shape {list(inputs[list(names).index(name)].shape)}",
        accepted="a program whose first axis is free",
        remedy=f"export it again with dynamic_shapes={{{shapes}}}, or {GIVE_MODULE}",
    )
