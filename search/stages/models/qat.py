"""Quantization-aware training: trained candidates fine-tuned with fake quantization, kept in the store.

Backend and precision of a candidate are not read: one training serves every backend whose quantizer finds
the grid again (see `fake_quantize`). What comes out is a float model whose weights lie on that grid.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ...record.candidate import Candidate, Recipe
from ...record.treatment import QatPlan
from ...store.store import Entry, content_key
from ..network.predict import tensors
from ..training.fake_quantize import FakeQuantization
from ..training.fold_norms import Pair, fold, fold_norms
from ..training.loop import Data, Plan, Watch
from ..training.masks import Masks, check_masks
from .students import ModelStages, Note, structure_of

QAT_VERSION = 1
# Of the recipe's learning rate. Students that were trained to the end gain the same from a quarter to the
# whole of it; those that were not gain more from more.
QAT_RATE = 0.5
STAGE = "qat"
_FOLDED = "folded.json"
_FOLD_SAMPLES = 8
_BATCH = 256


class QatStages:
    """Quantization-aware training on top of the stages that make float models.

    `fallback` is how the teacher itself is trained on, which has no recipe.
    """

    def __init__(self, stages: ModelStages, fallback: Recipe | None = None) -> None:
        self.stages = stages
        self.fallback = fallback or Recipe(epochs=1)

    def key(self, candidate: Candidate, plan: QatPlan) -> str:
        """Content key of `trained_qat`; trains nothing."""
        stages, digests = self.stages, self.stages.loaded.data_digests
        fields = {  # nothing of hidden states, which were compared once
            "base": stages.trained_key(candidate),
            "plan": asdict(plan),
            "training": {**asdict(self._plan(candidate, plan)), "hidden_weight": 0.0},
            "lesson": {**asdict(stages.lesson(self._recipe(candidate))), "hidden": ""},
            "data": {name: digests[name] for name in ("train", "validation", "calibration")},
            "tools": dict(stages.tools),
        }
        return content_key(STAGE, QAT_VERSION, fields)

    def trained_qat(self, candidate: Candidate, plan: QatPlan, note: Note = lambda entry: None) -> Entry:
        """The candidate's weights after quantization-aware training; read them with `load_qat`.

        Training starts from `trained(candidate)` and takes the loss of the recipe. `note` is told each
        entry on the way.

        `meta` has `quality` by split (validation; with fake quantization, which predicts the artifact's),
        `float_quality` (of the weights on the grid, with float activations), `start_quality` (with fake
        quantization, before training), `losses`, `curve`, `earlier_seconds`, `parameters`, `macs`, `zeros`
        (share by masked layer).

        Raises:
            Interrupted: training was asked to stop; it goes on from the last epoch when called again.
            StageError: the loss became not finite.
        """
        stages, key = self.stages, self.key(candidate, plan)
        found = stages.store.get(STAGE, key)
        if found is None:
            base = stages.trained(candidate, note)
            data = stages._data(note, self._recipe(candidate))
            training = self._plan(candidate, plan)
            provenance = {"base": base.key, "plan": asdict(plan), "training": asdict(training)}

            def make(into: Path) -> Mapping[str, Any]:
                model = stages.load(base, candidate)
                masks = _masks(model, base)
                folded = fold_norms(model, stages.sample(_FOLD_SAMPLES))
                (into / _FOLDED).write_text(json.dumps(folded))
                job = _Job(key=key, model=model, plan=plan, training=training, data=data, masks=masks)
                return self._made(job, into)

            found = stages.store.produce(STAGE, key, stages._by(provenance), make)
        note(found)
        return found

    def load_qat(self, entry: Entry, candidate: Candidate) -> nn.Module:
        """The float model with its weights on the grid, norms folded, in evaluation mode.

        Raises:
            InternalError: the entry belongs to a model of another structure.
        """
        pairs: list[Pair] = [(layer, norm) for layer, norm in json.loads((entry.path / _FOLDED).read_text())]
        model = self.stages.untrained(replace(candidate, sparsity=structure_of(candidate)[1]))
        fold(model, tuple(pairs))
        return self.stages.with_weights(model, entry)

    def _made(self, job: _Job, into: Path) -> dict[str, Any]:
        stages, model = self.stages, job.model
        rounding = FakeQuantization(model, job.plan.weight_bits, job.plan.activation_bits)
        masks = Masks(keep={rounding.trained_name(name): keep for name, keep in job.masks.keep.items()})

        def predicted(module: nn.Module) -> float:
            rounding.calibrate(self._calibration())
            return stages.quality(module, stages.loaded.splits.validation)

        start = predicted(model)
        higher = stages.metric.higher_is_better
        watch = Watch(key=job.key, kind=STAGE, quality=predicted, higher_is_better=higher)
        history = stages._train(model, job.data, job.training, watch, masks)
        stages.counters["qat_trainings"] += 1
        rounding.bake()
        return {
            "quality": {"validation": history.curve[-1][1]},
            "float_quality": stages.quality(model, stages.loaded.splits.validation),
            "start_quality": start,
            "losses": history.losses,
            "curve": history.curve,
            "earlier_seconds": history.earlier_seconds,
            "zeros": check_masks(model, job.masks),
            **stages.written(model, into),
        }

    def _plan(self, candidate: Candidate, plan: QatPlan) -> Plan:
        recipe = self._recipe(candidate)
        return Plan(
            stage=STAGE,
            epochs=plan.epochs,
            learning_rate=recipe.learning_rate * QAT_RATE,
            batch=recipe.batch,
            temperature=recipe.temperature,
            distill_weight=recipe.distill_weight,
            seed=recipe.seed,
        )

    def _recipe(self, candidate: Candidate) -> Recipe:
        return candidate.recipe or self.fallback

    def _calibration(self) -> Iterator[list[Tensor]]:
        inputs = tensors(self.stages.loaded.splits.calibration.inputs)
        for start in range(0, len(inputs[0]), _BATCH):
            yield [tensor[start : start + _BATCH] for tensor in inputs]


@dataclass(frozen=True, kw_only=True)
class _Job:
    """One training: the model with its norms folded, what it is trained on, and what must stay zero."""

    key: str
    model: nn.Module
    plan: QatPlan
    training: Plan
    data: Data
    masks: Masks


def _masks(model: nn.Module, base: Entry) -> Masks:
    """What pruning set to zero in the trained model stays zero."""
    names = base.meta.get("zeros", {})
    return Masks(keep={name: model.get_parameter(name).detach() != 0 for name in names})
