"""Recurrent layers, unrolled over time: no runtime that reads PyTorch's programs keeps them whole."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .operators import Node, operator

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "Sigmoid": torch.sigmoid,
    "Tanh": torch.tanh,
    "Relu": torch.relu,
    "Softsign": F.softsign,
    "Softplus": F.softplus,
}
_GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
_USUAL = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}
State = tuple[Tensor, ...]


@operator("LSTM", "GRU", "RNN", static=(4,))
def _recurrent(
    node: Node,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    bias: Tensor | None = None,
    lengths: Any = None,
    *initial: Tensor | None,
) -> tuple[Tensor, ...]:
    x = x.transpose(0, 1) if node.get("layout", 0) else x
    steps, batch = x.shape[:2]
    h, c, peepholes = (*initial, None, None, None)[:3]
    _check(node, steps, lengths, peepholes)
    hidden = r.shape[-1]
    bias = torch.zeros(w.shape[0], 2 * _GATES[node.operator] * hidden) if bias is None else bias
    sides, ends = [], []
    for side in range(w.shape[0]):
        start = [
            _start(node, one, side, batch, hidden) for one in ((h, c) if node.operator == "LSTM" else (h,))
        ]
        backwards = node.get("direction", "forward") == "reverse" or side == 1
        rows, end = _one_way(node, x, (w[side], r[side], bias[side]), tuple(start), side, backwards=backwards)
        sides.append(rows)
        ends.append(end)
    outputs = (torch.stack(sides, 1), *(torch.stack(parts) for parts in zip(*ends, strict=True)))
    if node.get("layout", 0):
        outputs = (outputs[0].permute(2, 0, 1, 3), *(one.transpose(0, 1) for one in outputs[1:]))
    return outputs[: node.outputs]


def _check(node: Node, steps: int, lengths: Any, peepholes: Tensor | None) -> None:
    if lengths is not None and any(int(length) != steps for length in lengths):
        raise node.refused("its sequences have lengths of their own")
    if peepholes is not None:
        raise node.refused("it has peepholes")
    if node.get("clip") is not None or node.get("input_forget", 0):
        raise node.refused("it clips its gates, or couples them")
    unknown = set(_names(node, 0)) - set(_ACTIVATIONS)
    if unknown:
        raise node.refused(f"it has the activation {min(unknown)}")


def _names(node: Node, side: int) -> list[str]:
    usual = _USUAL[node.operator]
    given: list[str] = node.get("activations") or []
    return given[side * len(usual) : (side + 1) * len(usual)] or usual


def _start(node: Node, given: Tensor | None, side: int, batch: int, hidden: int) -> Tensor:
    if given is None:
        return torch.zeros(batch, hidden)
    return (given.transpose(0, 1) if node.get("layout", 0) else given)[side]


def _one_way(
    node: Node, x: Tensor, weights: tuple[Tensor, Tensor, Tensor], state: State, side: int, *, backwards: bool
) -> tuple[Tensor, State]:
    w, r, bias = weights
    half = bias.shape[0] // 2
    functions = [_ACTIVATIONS[name] for name in _names(node, side)]
    cell = {"LSTM": _lstm, "GRU": _gru, "RNN": _rnn}[node.operator]
    rows: list[Tensor] = []
    order = range(x.shape[0])
    inputs = F.linear(x, w, bias[:half])
    for step in reversed(order) if backwards else order:
        state = cell(node, inputs[step], state, (r, bias[half:]), functions)
        rows.append(state[0])
    return torch.stack(rows[::-1] if backwards else rows), state


def _lstm(
    _: Node, x: Tensor, state: State, weights: tuple[Tensor, Tensor], functions: Sequence[Any]
) -> State:
    h, c = state
    i, o, f, g = (x + F.linear(h, *weights)).chunk(4, -1)
    gate, inner, outer = functions
    c = gate(f) * c + gate(i) * inner(g)
    return gate(o) * outer(c), c


def _gru(
    node: Node, x: Tensor, state: State, weights: tuple[Tensor, Tensor], functions: Sequence[Any]
) -> State:
    (h,), (r, bias), (gate, inner) = state, weights, functions
    size = h.shape[-1]
    recurrent = F.linear(h, r[: 2 * size], bias[: 2 * size])
    z, reset = gate(x[..., : 2 * size] + recurrent).chunk(2, -1)
    if node.get("linear_before_reset", 0):
        new = inner(x[..., 2 * size :] + reset * F.linear(h, r[2 * size :], bias[2 * size :]))
    else:
        new = inner(x[..., 2 * size :] + F.linear(reset * h, r[2 * size :], bias[2 * size :]))
    return ((1 - z) * new + z * h,)


def _rnn(_: Node, x: Tensor, state: State, weights: tuple[Tensor, Tensor], functions: Sequence[Any]) -> State:
    return (functions[0](x + F.linear(state[0], *weights)),)
