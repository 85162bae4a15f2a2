"""Four small nets and their ONNX files: what the TensorRT tests build and run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn


class Cnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        return self.head(self.body(image))


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.first, self.second = nn.Conv2d(16, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.down, self.skip = nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.Conv2d(16, 32, 1, stride=2)
        self.head = nn.Linear(32, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.relu(self.stem(image))
        x = torch.relu(x + self.second(torch.relu(self.first(x))))
        x = torch.relu(self.down(x) + self.skip(x))
        return self.head(x.mean(dim=(2, 3)))


class Mlp(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 64), nn.GELU(), nn.Linear(64, 10)
        )

    def forward(self, features: Tensor) -> Tensor:
        return self.body(features)


class Block(nn.Module):
    """Pre-norm attention and feed-forward; softmax attention written out, so that exports stay plain."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (
            part.reshape(batch, length, self.heads, -1).transpose(1, 2)
            for part in self.qkv(self.before(x)).chunk(3, dim=-1)
        )
        weights = torch.softmax(q @ k.transpose(-1, -2) * (width // self.heads) ** -0.5, dim=-1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(batch, length, width))
        return x + self.down(torch.relu(self.up(self.after(x))))


class Transformer(nn.Module):
    def __init__(self, width: int = 32, length: int = 16) -> None:
        super().__init__()
        self.embed = nn.Embedding(50, width)
        self.position = nn.Parameter(torch.randn(length, width) * 0.1)
        self.blocks = nn.Sequential(Block(width, 4), Block(width, 4))
        self.head = nn.Linear(width, 5)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(tokens) + self.position).mean(dim=1))


class Odd(nn.Module):
    """Operators with rules of their own: resizing, transposed and depthwise convolutions, a mask, a clip."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.depthwise = nn.Conv2d(16, 16, 3, padding=1, groups=16)
        self.up = nn.ConvTranspose2d(16, 8, 2, stride=2)
        self.grouped = nn.ConvTranspose2d(8, 8, 2, stride=2, groups=2)
        self.head = nn.Linear(8, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = nn.functional.relu6(self.depthwise(nn.functional.silu(self.stem(image))))
        x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
        x = self.grouped(self.up(x))
        x = torch.where(x > 0.5, x * 0.5, x).clamp(-3.0, 3.0)
        return self.head(x.mean(dim=(2, 3)))


@dataclass(frozen=True, kw_only=True)
class Sample:
    """An exported net with samples: `path` is its ONNX, `data` 64 rows of input."""

    name: str
    module: nn.Module
    path: Path
    data: dict[str, np.ndarray]

    def reference(self, feed: dict[str, np.ndarray]) -> np.ndarray:
        """What PyTorch computes."""
        with torch.no_grad():
            return self.module(*(torch.from_numpy(array) for array in feed.values())).numpy()


NETS = {"cnn": Cnn, "residual": Residual, "mlp": Mlp, "transformer": Transformer}


def make(name: str, folder: Path, *, dynamo: bool = True) -> Sample:
    """Build and export one of `NETS`, or `Odd`, with a dynamic batch."""
    torch.manual_seed(0)
    module = {**NETS, "odd": Odd}[name]().eval()
    rng = np.random.default_rng(0)
    if name == "transformer":
        data = {"tokens": rng.integers(0, 50, (64, 16))}
    elif name == "mlp":
        data = {"features": rng.standard_normal((64, 64), dtype=np.float32)}
    else:
        data = {"image": rng.standard_normal((64, 3, 16, 16), dtype=np.float32)}
    path = folder / f"{name}.onnx"
    example = tuple(torch.from_numpy(array[:2]) for array in data.values())
    names = list(data)
    if dynamo:
        batch = torch.export.Dim("batch")
        torch.onnx.export(
            module, example, path, input_names=names, output_names=["logits"], opset_version=18, dynamo=True,
            dynamic_shapes=tuple({0: batch} for _ in names), external_data=False, verbose=False,
        )  # fmt: skip
    else:
        torch.onnx.export(
            module, example, path, input_names=names, output_names=["logits"], opset_version=17, dynamo=False,
            dynamic_axes={name: {0: "batch"} for name in (*names, "logits")},
        )  # fmt: skip
    return Sample(name=name, module=module, path=path, data=data)


def halve(sample: Sample, folder: Path) -> Sample:
    """The same net with every weight pruned 2:4: the two smallest of every four inputs become 0."""
    model = onnx.load(sample.path)
    layers = {node.input[1]: node for node in model.graph.node if node.op_type in ("Conv", "Gemm", "MatMul")}
    for tensor in model.graph.initializer:
        node = layers.get(tensor.name)
        if node is None or len(tensor.dims) < 2:
            continue
        first = node.op_type == "Conv" or any(a.name == "transB" and a.i for a in node.attribute)
        axis = 1 if first else len(tensor.dims) - 2
        weight = np.moveaxis(onnx.numpy_helper.to_array(tensor), axis, -1).copy()
        if weight.shape[-1] % 4:
            continue
        groups = weight.reshape(-1, 4)
        np.put_along_axis(groups, np.argsort(np.abs(groups), axis=1)[:, :2], 0.0, axis=1)
        pruned = np.moveaxis(groups.reshape(weight.shape), -1, axis)
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.ascontiguousarray(pruned), tensor.name))
    path = folder / f"{sample.name}-2of4.onnx"
    onnx.save(model, path)
    return replace(sample, path=path)
