"""How each kind of training starts and ends: of a new student, a pruned model, or one quantized meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ....backends.registry import get_backend
from ...record.candidate import Candidate, Sparsity
from ...record.training import PRUNE
from ...record.treatment import QAT, QatPlan
from ...store.store import Entry
from ..network.plain import plain_weights
from ..network.predict import tensors
from ..training.equalize import equalize
from ..training.fake_quantize import FakeQuantization
from ..training.fold_norms import fold, fold_norms
from ..training.masks import GradualMasks, Masks, check_masks
from .lessons import Lessons
from .needed_trainings import Step
from .networks import with_weights

_FOLDED = "folded.json"
_FOLD_SAMPLES = 8
_BATCH = 256


def _pairs(path: Path) -> tuple[tuple[str, str], ...]:
    return tuple((str(layer), str(norm)) for layer, norm in json.loads(path.read_text()))


@dataclass(frozen=True, kw_only=True)
class Start:
    """A model as its training begins. `quality` is that on validation; `end` is called once training has
    ended, and returns what the result's `meta` has beyond that of every training."""

    model: nn.Module
    quality: Callable[[nn.Module], float]
    end: Callable[[], Mapping[str, Any]]
    masks: Masks | GradualMasks | None = None


class Starts:
    """Models as their trainings begin."""

    def __init__(self, lessons: Lessons) -> None:
        self.lessons, self.networks = lessons, lessons.networks
        self.teacher, self.splits = lessons.teacher, lessons.loaded.splits

    def of(self, step: Step, base: Entry | None, steps: int, into: Path, *, fresh: bool = False) -> Start:
        """The start of a training of so many steps; `base` has the weights of `step.start`. Of training with
        fake quantization a file goes `into` the result. With `fresh` a student that is cut out of the teacher
        has its shapes, and untrained weights."""
        if base is None or step.start is None:
            return self._new_student(step, fresh)
        model = self.load(base, step.start)
        if step.qat is None:
            return self._pruned(step, model, steps)
        levels = get_backend(step.candidate.backend).weight_levels
        return self._quantized(step.qat, levels, model, base, into)

    def load(self, entry: Entry, candidate: Candidate) -> nn.Module:
        """The model of a trained candidate, in evaluation mode. Where it was trained with fake quantization,
        its weights lie on the grid, and norms are folded.

        Raises:
            InternalError: the entry belongs to a model of another structure.
        """
        model = self.networks.structure(candidate)
        if entry.stage in (PRUNE, QAT):
            plain_weights(model)
        if entry.stage == QAT:
            fold(model, entry.read(_FOLDED, _pairs))
        return with_weights(model, entry)

    def _new_student(self, step: Step, fresh: bool) -> Start:
        """Untrained from the user's builder; where it is cut out of the teacher, with the largest weights."""
        student = step.candidate.student
        if self.networks.is_derived(student):
            whole = self.networks.fresh_teacher(step.recipe.seed) if fresh else self.teacher.model()
            model = self.networks.cut_out(whole, student)
        else:
            model = self.networks.build(student, step.recipe.seed)

        def end() -> Mapping[str, Any]:
            notes = self.networks.whole_layers(step.candidate)
            doubts = self.lessons.doubts(model, step.plan.epochs)
            return {"remarks": doubts, **({"notes": notes} if notes else {})}

        return Start(model=model, quality=self._quality, end=end)

    def _pruned(self, step: Step, model: nn.Module, steps: int) -> Start:
        """Pruned or masked at once; masks of the unstructured kind are still to grow."""
        candidate = step.candidate
        sparsity = Sparsity.parse(candidate.sparsity)
        masks: Masks | GradualMasks
        if sparsity.kind == "unstructured":
            masks = GradualMasks(sparsity, steps)
            plain_weights(model)
        else:
            masks = self.networks.sparsify(model, candidate)

        def end() -> Mapping[str, Any]:
            last = masks.masks if isinstance(masks, GradualMasks) else masks
            zeros = check_masks(model, last)
            notes = (*last.notes, *self.networks.whole_layers(candidate))
            doubts = self.lessons.doubts(model, step.plan.epochs)
            return {"zeros": zeros, "notes": notes, "remarks": doubts}

        return Start(model=model, quality=self._quality, end=end, masks=masks)

    def _quantized(
        self, plan: QatPlan, levels: Mapping[int, int], model: nn.Module, base: Entry, into: Path
    ) -> Start:
        """With fake quantization of folded layers. What pruning set to zero in the base stays zero.

        The quality, also that in `meta`, predicts the artifact's. `meta` has further `float_quality` (of the
        weights on the grid, with float activations) and `start_quality` (before training).
        """
        plain_weights(model)
        zeros = base.meta.get("zeros", {})
        kept = Masks(keep={name: model.get_parameter(name).detach() != 0 for name in zeros})
        sample = self.networks.sample(_FOLD_SAMPLES)
        (into / _FOLDED).write_text(json.dumps(fold_norms(model, sample)))
        equalize(model, *sample)
        rounding = FakeQuantization(model, plan.weight_bits, plan.activation_bits, levels)

        def predicted(module: nn.Module) -> float:
            rounding.calibrate(self._calibration())
            return self._quality(module)

        start = predicted(model)

        def end() -> Mapping[str, Any]:
            rounding.bake()
            zeros, exact = check_masks(model, kept), self._quality(model)
            return {"float_quality": exact, "start_quality": start, "zeros": zeros}

        masks = Masks(keep={rounding.trained_name(name): keep for name, keep in kept.keep.items()})
        return Start(model=model, quality=predicted, end=end, masks=masks)

    def _quality(self, model: nn.Module) -> float:
        return self.networks.quality(model, self.splits.validation)

    def _calibration(self) -> Iterator[list[Tensor]]:
        inputs = tensors(self.splits.calibration.inputs)
        for start in range(0, len(inputs[0]), _BATCH):
            yield [tensor[start : start + _BATCH].clone() for tensor in inputs]
