"""What the ladder may change about a quantized candidate that loses too much, and the record of each rung."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

RungName = Literal["calibration", "mixed-precision", "qat"]
RUNGS: tuple[str, ...] = get_args(RungName)
CALIBRATION, MIXED, QAT = RUNGS


@dataclass(frozen=True, kw_only=True)
class QatPlan:
    """Quantization-aware training: fine-tuning with fake quantization of weights and activations.

    `weight_bits` per output channel, symmetric; `activation_bits` 0 leaves activations in float. `epochs` of
    the training split; the learning rate is a share of the recipe's.
    """

    weight_bits: int
    activation_bits: int
    epochs: int

    @property
    def title(self) -> str:
        """In words: "fake quantization (4-bit weights) for 4 epochs"."""
        activations = f", {self.activation_bits}-bit activations" if self.activation_bits else ""
        return f"fake quantization ({self.weight_bits}-bit weights{activations}) for {self.epochs} epochs"


@dataclass(frozen=True, kw_only=True)
class Treatment:
    """How an artifact differs from what the candidate alone says. The default changes nothing.

    `calibration_method` and `calibration_samples` replace the candidate's ("" and 0: they do not);
    `calibration_draw` other than 0 takes a random draw of calibration samples in place of the first ones.
    `keep_float` names layers that stay in float. `qat`: the weights come from quantization-aware training.
    """

    calibration_method: str = ""
    calibration_samples: int = 0
    calibration_draw: int = 0
    keep_float: tuple[str, ...] = ()
    qat: QatPlan | None = None


UNTREATED = Treatment()


@dataclass(frozen=True, kw_only=True)
class LadderRung:
    """One rung that was climbed (or tried), in the unit of the quality metric and in seconds.

    `predicted_gain` and `predicted_seconds` are what the rung was chosen by; `before` and `after` the quality
    of the artifact on validation, `kept` whether its result was taken over. `simulated` is the quality that
    the fake quantizer predicted (quantization-aware training alone). `detail` says in words what was tried.
    """

    name: str
    predicted_gain: float
    predicted_seconds: float
    seconds: float
    before: float
    after: float
    kept: bool
    simulated: float | None = None
    detail: str = ""
