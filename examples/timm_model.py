"""A model of timm (PyTorch Image Models) as teacher; students are derived from it by pruning.

The file is not called timm.py, since that would be found in place of the library. Options in the study file:

- `model`: a name that timm knows; `pretrained: true` takes its weights from the local cache or the hub;
- `size`: height and width of the pictures;
- `epochs`: how long the teacher is trained on the data (0: it is trained already).

The data is scikit-learn's `load_digits`, enlarged from 8 x 8 pixels: `load_splits` is what you replace.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from paretune import Split, Splits, UserError, Workload
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision_import import prepare_torchvision

CLASSES = 10


class Classifier(nn.Module):
    """A timm model whose input has a name: one grey channel in, one logit per class out."""

    def __init__(self, name: str, pretrained: bool) -> None:
        super().__init__()
        create_model = _timm().create_model
        self.model = create_model(name, pretrained=pretrained, in_chans=1, num_classes=CLASSES)
        for layer in self.model.modules():
            # timm lets residual branches start at 0. Exporters would leave them out, and candidates that are
            # measured before they are trained would look smaller than they are.
            if isinstance(layer, nn.BatchNorm2d) and not layer.weight.any():
                nn.init.ones_(layer.weight)

    def forward(self, image: Tensor) -> Tensor:
        """Logits [N, 10] of images [N, 1, size, size] with values between 0 and 1."""
        return self.model(image)


def _timm() -> Any:
    """The library.

    Raises:
        UserError: it is not installed.
    """
    missing = [name for name in ("timm", "torchvision") if find_spec(name) is None]
    if missing:
        raise UserError(
            "this example needs timm and torchvision",
            found=f"no {' and no '.join(missing)}",
            remedy="pip install timm torchvision",
        )
    prepare_torchvision()
    return import_module("timm")


def train_teacher(model: nn.Module, splits: Splits, epochs: int, batch: int = 32) -> None:
    """Train in place: AdamW with one cycle of the learning rate."""
    torch.manual_seed(0)
    images = torch.from_numpy(splits.train.inputs["image"])
    labels = torch.from_numpy(splits.train.labels)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    steps = epochs * len(labels.split(batch))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=steps)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(labels)).split(batch):
            loss = F.cross_entropy(model(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def load_splits(size: int) -> Splits:
    """900 pictures to train, 180 to calibrate, 357 to search, 360 to test."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    small = torch.from_numpy((digits.images / 16).astype(np.float32))[:, None]
    images = F.interpolate(small, size=(size, size), mode="bilinear").numpy()
    parts, rest = {}, np.arange(len(images))
    for name, count in (("test", 360), ("validation", 357), ("calibration", 180)):
        rest, parts[name] = train_test_split(
            rest, test_size=count, stratify=digits.target[rest], random_state=0
        )
    parts["train"] = rest
    labels = digits.target.astype(np.int64)
    return Splits(**{n: Split(inputs={"image": images[r]}, labels=labels[r]) for n, r in parts.items()})


def workload(model: str = "resnet10t", pretrained: bool = False, size: int = 32, epochs: int = 6) -> Workload:
    """The workload of a model of timm."""
    return Workload(
        name=f"timm-{model}",
        splits=lambda: load_splits(size),
        teacher=lambda: Classifier(model, pretrained),
        train_teacher=(lambda net, splits: train_teacher(net, splits, epochs)) if epochs else None,
    )
