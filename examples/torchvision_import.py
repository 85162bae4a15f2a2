"""Let torchvision be imported beside a PyTorch that it was not built for.

Its wheels on PyPI belong to the CUDA build of PyTorch. Beside a CPU build their compiled part does not load,
and the import fails where their Python part describes two operators of it. timm and transformers import
torchvision and use neither of the two: they need a signature, no kernel.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

import torch

_SIGNATURE = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def prepare_torchvision() -> None:
    """Import torchvision where it is installed, with the two operators declared if it needs that."""
    if find_spec("torchvision") is None:
        return
    try:
        import_module("torchvision")
    except RuntimeError:
        for name in ("nms", "qnms"):
            torch.library.define(f"torchvision::{name}", _SIGNATURE)
        import_module("torchvision")
