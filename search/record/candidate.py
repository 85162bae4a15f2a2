"""One point of the search space, as a frozen value with one canonical form and one digest."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal

from ...profiles.errors import UserError
from ...profiles.precision import Precision
from .digest import digest_of

Scalar = int | float | str | bool
PROBE_SAMPLES = 16  # calibration of untrained weights: any ranges will do


@dataclass(frozen=True, kw_only=True)
class Sparsity:
    """Decoded sparsity notation: `dense`, `channel:R`, `unstructured:R` (R = share removed), `2:4`."""

    kind: str
    share: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.kind}:{_written(self.share)}" if self.kind in ("channel", "unstructured") else self.kind
        )

    @classmethod
    def parse(cls, text: str) -> Sparsity:
        """Read the notation.

        Raises:
            UserError: it is none of the four forms, or R is not between 0 and 1.
        """
        if text in ("dense", "2:4"):
            return cls(kind=text, share=0.5 if text == "2:4" else 0.0)
        match = re.fullmatch(r"(channel|unstructured):(0?\.[0-9]{1,17})", text)
        if not match or not 0 < float(match[2]) < 1:
            raise UserError(
                "not a sparsity",
                found=repr(text),
                accepted="dense, channel:R, unstructured:R with R between 0 and 1 (say channel:0.5), 2:4",
            )
        return cls(kind=match[1], share=float(match[2]))


def _written(share: float) -> str:
    """A share with all its digits and no exponent, so that it is read as what it is: 0.1234567, 0.00001."""
    return format(Decimal(repr(share)), "f")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a student is trained. `distill_weight` is the share of the loss that comes from the teacher's
    soft targets at `temperature` (Hinton et al. 2015, arXiv:1503.02531); the rest comes from the labels.
    `patience`: training ends after so many epochs without a better quality on validation, and the best
    weights stay (0: it runs to the end). `hidden_weight` and `order` are the same for all that is trained
    today; records of earlier versions may have others, which tell their candidates apart.
    """

    epochs: int
    temperature: float = 4.0
    distill_weight: float = 0.7
    learning_rate: float = 2e-3
    batch: int = 64
    finetune_epochs: int = 0
    seed: int = 0
    hidden_weight: float = 0.0
    patience: int = 0
    order: str = "prune-distill-quantize"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """Student size, sparsity, training recipe, precision and backend.

    `student` holds the arguments of the workload's student builder, sorted by name; `()` is the teacher
    itself. `recipe` is None where nothing is trained (the dense teacher, a model that exists only as ONNX).
    Every candidate is canonical: a field that changes nothing (calibration of a precision that has none, say)
    has its neutral value, whatever it was made with.
    """

    backend: str
    precision: Precision
    student: tuple[tuple[str, Scalar], ...] = ()
    sparsity: str = "dense"
    recipe: Recipe | None = None
    calibration_method: str = ""
    calibration_samples: int = 0
    per_channel: bool = True

    def __post_init__(self) -> None:
        # What changes nothing has its neutral value, so that candidates that are alike are equal.
        calibrated, quantized = self.precision.decoded.calibrated, self.precision.decoded.integer
        sparsity = str(Sparsity.parse(self.sparsity))
        neutral = {
            "student": tuple(sorted(self.student)),
            "sparsity": sparsity,
            "recipe": self.recipe if self.student or sparsity != "dense" else None,
            "calibration_method": self.calibration_method if calibrated else "",
            "calibration_samples": self.calibration_samples if calibrated else 0,
            "per_channel": self.per_channel if quantized else True,
        }
        for name, value in neutral.items():
            object.__setattr__(self, name, value)

    def hardware_class(self) -> Candidate:
        """The candidate that stands for all that cost the same on the device.

        Latency, memory and size follow from structure and number formats: recipe and calibration decide
        what the weights and ranges are, not which kernels run.
        """
        calibrated = self.precision.decoded.calibrated
        return replace(
            self,
            recipe=None,
            calibration_method="minmax" if calibrated else "",
            calibration_samples=PROBE_SAMPLES if calibrated else 0,
        )

    @property
    def is_teacher(self) -> bool:
        """Whether this is the teacher's own structure and weights."""
        return not self.student and self.sparsity == "dense"

    @property
    def digest(self) -> str:
        """16 hex digits that name the candidate."""
        return digest_of(self)[:16]

    @property
    def title(self) -> str:
        """One readable line: "width=0.5 depth=2, channel:0.3, T=2, int8 (minmax 128), ort".

        Of the recipe it has what differs from the default of what a study may search.
        """
        model = " ".join(f"{k}={v}" for k, v in self.student) or "teacher"
        precision = str(self.precision)
        calibration = (
            f"{self.calibration_method} {self.calibration_samples}" if self.calibration_method else ""
        )
        settings = ", ".join(filter(None, (calibration, "" if self.per_channel else "per tensor")))
        if settings:
            precision += f" ({settings})"
        sparsity = "" if self.sparsity == "dense" else self.sparsity
        recipe = "" if self.recipe is None or self.is_teacher else _recipe_title(self.recipe)
        parts = [model, sparsity, recipe, precision, self.backend]
        return ", ".join(part for part in parts if part)


def _recipe_title(recipe: Recipe) -> str:
    """ "T=2 soft=0.5 hidden=0.1, distill-prune-quantize"; only what is not the default.
    Training on the labels alone is called "no teacher"."""
    usual = Recipe(epochs=recipe.epochs)
    shown = {
        "T": (recipe.temperature, usual.temperature),
        "soft": (recipe.distill_weight, usual.distill_weight),
        "hidden": (recipe.hidden_weight, usual.hidden_weight),
    }
    parts = " ".join(f"{name}={value:g}" for name, (value, default) in shown.items() if value != default)
    if not recipe.distill_weight:
        parts = parts.replace("soft=0", "no teacher")
    return ", ".join(part for part in (parts, recipe.order if recipe.order != usual.order else "") if part)
