"""Stand-ins that make a model's structure plain to Torch-Pruning while its dependency graph is read.

Recurrent layers and nn.MultiheadAttention hide several matrices behind one call. For as long as the graph is
read and pruned, each is replaced by a twin of nn.Linear layers in which each channel depends on the same
channels as in the original; afterwards the original is built again from the rows and columns that were left.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ....profiles.errors import UnsupportedError

RECURRENT = (nn.LSTM, nn.GRU, nn.RNN)


class Twin(nn.Module, ABC):
    """A stand-in for one layer; `original` is no submodule, so that nothing else prunes it."""

    def __init__(self, original: nn.Module) -> None:
        super().__init__()
        self._original = [original]

    @property
    def original(self) -> Any:
        """The layer that the twin stands for."""
        return self._original[0]

    def __getattr__(self, name: str) -> Any:
        # Code around the layer may read its settings (`batch_first`, `hidden_size`).
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(self.original, name)

    def tag(self) -> None:
        """Number the weights, so that what is left of them tells which rows and columns stayed."""
        for layer in self.children():
            if isinstance(layer, nn.Linear):
                numbers = torch.arange(layer.weight.numel(), dtype=torch.float64)
                layer.weight = nn.Parameter(numbers.reshape(layer.weight.shape))
                layer.full_width = layer.in_features  # type: ignore[assignment]

    @abstractmethod
    def rebuilt(self) -> nn.Module:
        """The original, cut down to the channels that the twin has left.

        Raises:
            UnsupportedError: what is left is no such layer.
        """


def _kept(layer: Any) -> tuple[Tensor, Tensor]:
    """Rows and columns of a tagged layer that are left."""
    numbers = layer.weight.detach().round().long()
    return numbers[:, 0] // layer.full_width, numbers[0] % layer.full_width


class AttentionTwin(Twin):
    """Stands for nn.MultiheadAttention: projections of query, key and value, and the output."""

    def __init__(self, original: nn.MultiheadAttention) -> None:
        super().__init__(original)
        if original.bias_k is not None or original.add_zero_attn:
            raise UnsupportedError("nn.MultiheadAttention with add_bias_kv or add_zero_attn cannot be pruned")
        for name, weight in zip("qkv", _projections(original), strict=True):
            self.add_module(name, _linear(weight))
        self.out = _linear(original.out_proj.weight)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Any:
        """Output of the right shape, and no weights; the sums tie what attention multiplies."""
        axis = 0 if query.dim() == 2 or not self.original.batch_first else 1
        mixed = self.k(key).mean(axis, keepdim=True) + self.v(value).mean(axis, keepdim=True)
        return self.out(self.q(query) + mixed), None

    def rebuilt(self) -> nn.Module:
        old: nn.MultiheadAttention = self.original
        head_dim = old.embed_dim // old.num_heads
        rows, width = _kept(self.q)
        heads = torch.unique(rows // head_dim).numel()
        if len(rows) != len(width) or heads * head_dim != len(rows):
            raise UnsupportedError("nn.MultiheadAttention needs heads of equal size that fill its width")
        columns = [_kept(getattr(self, name))[1] for name in "qkv"]
        new = nn.MultiheadAttention(
            len(width),
            heads,
            dropout=old.dropout,
            bias=old.in_proj_bias is not None,
            kdim=None if old._qkv_same_embed_dim else len(columns[1]),
            vdim=None if old._qkv_same_embed_dim else len(columns[2]),
            batch_first=old.batch_first,
            dtype=old.out_proj.weight.dtype,
        )
        out_rows, out_columns = _kept(self.out)
        with torch.no_grad():
            for part, full, kept in zip(_projections(new), _projections(old), columns, strict=True):
                part.copy_(full[rows][:, kept])
            new.out_proj.weight.copy_(old.out_proj.weight[out_rows][:, out_columns])
            if old.in_proj_bias is not None:
                full_bias = old.in_proj_bias.reshape(3, -1)[:, rows]
                new.in_proj_bias.copy_(full_bias.reshape(-1))
                new.out_proj.bias.copy_(old.out_proj.bias[out_rows])
        return _like(new, old)


class RecurrentTwin(Twin):
    """Stands for nn.LSTM, nn.GRU or nn.RNN: one nn.Linear from input to state per layer and direction."""

    def __init__(self, original: nn.RNNBase) -> None:
        super().__init__(original)
        if original.proj_size:
            raise UnsupportedError(f"{type(original).__name__} with proj_size cannot be pruned")
        self.directions = 2 if original.bidirectional else 1
        for name in _cells(original):
            gates = getattr(original, f"weight_ih_{name}").detach()
            gates = gates.reshape(-1, original.hidden_size, gates.shape[1])
            self.add_module(name, _linear(gates.square().sum(0).sqrt()))

    def forward(self, sequence: Any, state: Any = None) -> Any:
        """Output and last states of the right shapes."""
        packed = isinstance(sequence, PackedSequence)
        hidden, axis = (sequence.data if packed else sequence), self._time_axis(sequence)
        states = []
        for layer in range(self.original.num_layers):
            suffixes = ("", "_reverse")[: self.directions]
            parts = [getattr(self, f"l{layer}{suffix}")(hidden) for suffix in suffixes]
            states += [part[: int(sequence.batch_sizes[0])] if packed else part.mean(axis) for part in parts]
            hidden = torch.cat(parts, -1) if len(parts) > 1 else parts[0]
        last = torch.stack(states)
        output = sequence._replace(data=hidden) if packed else hidden
        return output, (last, last * 2) if isinstance(self.original, nn.LSTM) else last

    def _time_axis(self, sequence: Any) -> int:
        batched = isinstance(sequence, Tensor) and sequence.dim() == 3
        return 1 if batched and self.original.batch_first else 0

    def rebuilt(self) -> nn.Module:
        old = self.original
        kept = {name: _kept(getattr(self, name)) for name in _cells(old)}
        sizes = {len(rows) for rows, _ in kept.values()}
        if len(sizes) > 1:
            raise UnsupportedError(f"{type(old).__name__} needs states of one size in all of its layers")
        options = {"nonlinearity": old.nonlinearity} if isinstance(old, nn.RNN) else {}
        new = type(old)(
            len(kept["l0"][1]),
            sizes.pop(),
            num_layers=old.num_layers,
            bias=old.bias,
            batch_first=old.batch_first,
            dropout=old.dropout,
            bidirectional=old.bidirectional,
            dtype=old.weight_ih_l0.dtype,
            **options,
        )
        with torch.no_grad():
            for name, (rows, columns) in kept.items():
                for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                    if hasattr(old, f"{part}_{name}"):
                        of_columns = {"weight_ih": columns, "weight_hh": rows}.get(part)
                        full = getattr(old, f"{part}_{name}")
                        left = _of_gates(full, old.hidden_size, rows, of_columns)
                        getattr(new, f"{part}_{name}").copy_(left)
        return _like(new, old)


class TransposedTwin(Twin):
    """Stands for the `Conv1D` of transformers' GPT-2: a linear layer whose weight is (inputs, outputs)."""

    def __init__(self, original: Any) -> None:
        super().__init__(original)
        self.linear = _linear(original.weight.T)

    def forward(self, x: Tensor) -> Tensor:
        """As the original, without its bias."""
        output: Tensor = self.linear(x)
        return output

    def rebuilt(self) -> nn.Module:
        old = self.original
        rows, columns = _kept(self.linear)
        new = type(old)(len(rows), len(columns))
        with torch.no_grad():
            new.weight.copy_(old.weight[columns][:, rows])
            new.bias.copy_(old.bias[rows])
        return _like(new, old)


def _of_gates(full: Tensor, hidden: int, rows: Tensor, columns: Tensor | None) -> Tensor:
    """The rows of each gate, and the columns, of a matrix or bias that stacks the gates."""
    gates = full.reshape(-1, hidden, *full.shape[1:])[:, rows].flatten(0, 1)
    return gates if columns is None else gates[:, columns]


def _cells(layer: nn.RNNBase) -> Iterator[str]:
    for index in range(layer.num_layers):
        yield f"l{index}"
        if layer.bidirectional:
            yield f"l{index}_reverse"


def _projections(layer: nn.MultiheadAttention) -> tuple[Tensor, Tensor, Tensor]:
    """Weights of query, key and value, as views."""
    if layer._qkv_same_embed_dim:
        one, two, three = layer.in_proj_weight.chunk(3)
        return one, two, three
    return layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight


def _linear(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    layer.weight = nn.Parameter(weight.detach().clone())
    return layer


def _like(new: nn.Module, old: nn.Module) -> nn.Module:
    """Give a rebuilt layer the mode and the frozen parameters of the old one."""
    for name, parameter in old.named_parameters():
        new.get_parameter(name).requires_grad_(parameter.requires_grad)
    return new.train(old.training)


def _twin_of(layer: nn.Module) -> type[Twin] | None:
    if isinstance(layer, nn.MultiheadAttention):
        return AttentionTwin
    if isinstance(layer, RECURRENT):
        return RecurrentTwin
    transposed = type(layer).__name__ == "Conv1D" and type(layer).__module__ == "transformers.pytorch_utils"
    return TransposedTwin if transposed else None


def put_twins(model: nn.Module) -> dict[str, Twin]:
    """Replace layers by their twins, in place; the twins by path.

    Raises:
        UnsupportedError: one of them has settings that cannot be pruned; it is named.
    """
    twins: dict[str, Twin] = {}
    for path, layer in list(model.named_modules()):
        make: Any = _twin_of(layer)
        if make is not None and path:
            try:
                twins[path] = make(layer)
            except UnsupportedError as error:
                raise UnsupportedError(f"{path}: {error.reason}") from error
            _set(model, path, twins[path])
    return twins


def take_twins(model: nn.Module, twins: dict[str, Twin]) -> None:
    """Put in place of each twin what is left of its original.

    Raises:
        UnsupportedError: what is left of one is no such layer; it is named.
    """
    for path, twin in twins.items():
        try:
            _set(model, path, twin.rebuilt())
        except UnsupportedError as error:
            raise UnsupportedError(f"{path}: {error.reason}") from error


def _set(model: nn.Module, path: str, layer: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, layer)


Buffers = list[tuple[nn.Module, str]]


def buffers_as_parameters(model: nn.Module) -> Buffers:
    """Make parameters of buffers (sinusoidal positions and the like), which are pruned like parameters.

    Statistics of norms belong to their layers. The result undoes it, see `parameters_as_buffers`.
    """
    changed: Buffers = []
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            continue
        for name, buffer in list(module._buffers.items()):
            if buffer is not None and buffer.is_floating_point() and buffer.numel() > 1:
                del module._buffers[name]
                module._parameters[name] = nn.Parameter(buffer)
                changed.append((module, name))
    return changed


def parameters_as_buffers(changed: Buffers) -> None:
    """Undo `buffers_as_parameters`."""
    for module, name in changed:
        parameter = module._parameters.pop(name)
        module._buffers[name] = None if parameter is None else parameter.detach()
