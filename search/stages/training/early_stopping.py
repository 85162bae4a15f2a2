"""Early stopping: the best weights of a training so far, by the quality on validation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(kw_only=True)
class BestWeights:
    """Keeps the weights of the best epoch, and knows when it is time to stop.

    Among epochs of equal quality the weights of the last one are kept, as they have learned for longer; only
    a better quality starts the patience anew.
    """

    patience: int
    higher_is_better: bool = True
    quality: float = math.nan
    epoch: int = 0
    improved: int = 0
    weights: dict[str, Tensor] = field(default_factory=dict)

    def see(self, epoch: int, quality: float, model: nn.Module) -> None:
        """Take note of the quality after an epoch."""
        sign = 1 if self.higher_is_better else -1
        better = not self.epoch or (math.isnan(self.quality) and not math.isnan(quality))
        if better or sign * quality > sign * self.quality:
            self.improved = epoch
        elif quality != self.quality:
            return
        self.epoch, self.quality = epoch, quality
        self.weights = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    def over(self, epoch: int) -> bool:
        """Whether so many epochs have passed without a better quality."""
        return self.epoch > 0 and epoch - self.improved >= self.patience

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold."""
        return {
            "quality": self.quality,
            "epoch": self.epoch,
            "improved": self.improved,
            "weights": self.weights,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.quality, self.epoch, self.improved = state["quality"], state["epoch"], state["improved"]
        self.weights = dict(state["weights"])
