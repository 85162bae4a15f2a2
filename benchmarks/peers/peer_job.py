"""What the peers share: a job's workload, data, space and trained teacher, and training as its recipe says.

Written as a user would without Paretune; of `paretune` it needs only what the workload's file itself imports.
"""

from __future__ import annotations

import argparse
import copy
import importlib.util
import itertools
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import load_model
from torch import Tensor, nn
from torch.nn import functional as F

TEACHER, SOFT = "teacher.safetensors", "soft.npy"
"""What a job's folder holds beside its study.yaml: the trained teacher, and its outputs over `train`."""
FINETUNE_SHARE = 0.5
"""Of the learning rate, for a pruned model."""


class TimeUpError(Exception):
    """The seconds are over in the middle of a training."""


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A model: the student's axes (none: the teacher itself), what is removed of it, how it is distilled."""

    student: tuple[tuple[str, Any], ...] = ()
    sparsity: str = "dense"
    temperature: float
    weight: float

    @property
    def choice(self) -> dict[str, Any]:
        model = {"model": "student" if self.student else "teacher", **dict(self.student)}
        recipe = {"temperature": self.temperature, "weight": self.weight} if self.trained else {}
        return {**model, "sparsity": self.sparsity, **recipe}

    @property
    def trained(self) -> bool:
        return bool(self.student) or self.sparsity != "dense"


@dataclass(frozen=True, kw_only=True)
class Space:
    """The axes of the study file, each with its values."""

    student: Mapping[str, Sequence[Any]]
    sparsity: Sequence[str]
    temperature: Sequence[float]
    weight: Sequence[float]
    backend: Sequence[str]
    precision: Sequence[str]
    calibration: Sequence[str]

    def models(self) -> Iterator[Wanted]:
        """The teacher as it is, then everything that has to be trained."""
        yield Wanted(temperature=self.temperature[0], weight=self.weight[0])
        values = itertools.product(*self.student.values())
        sizes = [(), *(tuple(zip(self.student, one, strict=True)) for one in values)]
        recipes = itertools.product(sizes, self.sparsity, self.temperature, self.weight)
        for size, sparsity, heat, weight in recipes:
            wanted = Wanted(student=size, sparsity=sparsity, temperature=heat, weight=weight)
            if wanted.trained:
                yield wanted


@dataclass(frozen=True, kw_only=True)
class Recipe:
    epochs: int
    finetune_epochs: int
    learning_rate: float
    batch: int


@dataclass(frozen=True, kw_only=True)
class Job:
    """The workload, its splits, the trained teacher with its outputs over `train`, the space and the recipe.

    What was trained stays in `memory`. `deadline` is on the wall clock of this machine.
    """

    workload: Any
    splits: Any
    teacher: nn.Module
    inputs: Sequence[Tensor]
    labels: Tensor
    soft: Tensor
    space: Space
    recipe: Recipe
    samples: int
    seed: int = 0
    deadline: float = float("inf")
    memory: dict[Wanted, nn.Module] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        return list(self.splits.train.inputs)

    @property
    def classes(self) -> int:
        return self.soft.shape[-1]

    @property
    def example(self) -> tuple[Tensor, ...]:
        """One sample of each input."""
        return tuple(tensor[:1] for tensor in self.inputs)

    @property
    def calibration(self) -> list[dict[str, np.ndarray]]:
        """Feeds of one sample each."""
        given = {name: values[: self.samples] for name, values in self.splits.calibration.inputs.items()}
        count = len(next(iter(given.values())))
        return [{name: values[row : row + 1] for name, values in given.items()} for row in range(count)]


def several(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


def read_space(section: Mapping[str, Any]) -> Space:
    distill = section["distill"]
    return Space(
        student={axis: several(values) for axis, values in section["student"].items()},
        sparsity=several(section.get("sparsity", "dense")),
        temperature=several(distill["temperature"]),
        weight=several(distill["weight"]),
        backend=several(section["backend"]),
        precision=several(section["precision"]),
        calibration=several(section["calibration"]["method"]),
    )


def load_workload(named: Any) -> Any:
    """The object `workload` of a file, or what its function of that name returns for the options."""
    parts = named if isinstance(named, Mapping) else {"file": named}
    path = Path(parts["file"])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    found = module.workload
    return found(**parts.get("options", {})) if callable(found) else found


def load_job(folder: Path, *, seed: int = 0, deadline: float = float("inf")) -> Job:
    """Read study.yaml, the teacher's weights and its outputs from a job's folder; load the data."""
    torch.set_num_threads(1)
    study = yaml.safe_load((folder / "study.yaml").read_text())
    workload = load_workload(study["workload"])
    splits, teacher = workload.splits(), workload.teacher()
    load_model(teacher, folder / TEACHER)
    training = {name: study["training"][name] for name in Recipe.__dataclass_fields__}
    return Job(
        workload=workload,
        splits=splits,
        teacher=teacher.eval(),
        inputs=[torch.from_numpy(values) for values in splits.train.inputs.values()],
        labels=torch.from_numpy(splits.train.labels),
        soft=torch.from_numpy(np.load(folder / SOFT)),
        space=read_space(study["space"]),
        recipe=Recipe(**training),
        samples=several(study["space"]["calibration"]["samples"])[0],
        seed=seed,
        deadline=deadline,
    )


def options_of(text: str | None, *flags: str) -> argparse.Namespace:
    """What a peer's script is called with. Its seconds count from `--began`, when its process was started."""
    parser = argparse.ArgumentParser(description=(text or "").partition("\n")[0])
    for name in ("--job", "--into"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--began", type=float, default=time.time(), help="seconds since 1970")
    parser.add_argument("--seed", type=int, default=0)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()


def distill(model: nn.Module, job: Job, wanted: Wanted, epochs: int, learning_rate: float) -> None:
    """Train in place on labels and soft targets: AdamW, one cosine."""
    heat, batch = wanted.temperature, job.recipe.batch
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=1e-4)
    steps = epochs * -(-len(job.labels) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=steps)
    model.train()
    for rows in (rows for _ in range(epochs) for rows in torch.randperm(len(job.labels)).split(batch)):
        if time.time() > job.deadline:
            raise TimeUpError
        outputs = model(*(tensor[rows] for tensor in job.inputs))
        student, teacher = F.log_softmax(outputs / heat, dim=1), F.log_softmax(job.soft[rows] / heat, dim=1)
        soft = F.kl_div(student, teacher, reduction="batchmean", log_target=True) * heat**2
        loss = wanted.weight * soft + (1 - wanted.weight) * F.cross_entropy(outputs, job.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()


def prune(model: nn.Module, job: Job, sparsity: str) -> None:
    """Remove the share of "channel:0.5" from every layer but the last, by Torch-Pruning."""
    import torch_pruning

    for parameter in model.parameters():
        parameter.requires_grad_(True)
    pruner = torch_pruning.pruner.BasePruner(
        model,
        tuple(tensor[:2] for tensor in job.inputs),
        importance=torch_pruning.importance.GroupMagnitudeImportance(),
        pruning_ratio=float(sparsity.partition(":")[2]),
        round_to=4,
        ignored_layers=[model.classifier],
    )
    pruner.step()


def needed(job: Job, wanted: Wanted) -> list[Wanted]:
    """What is not trained yet of a model: the dense student before the pruned one."""
    dense = replace(wanted, sparsity="dense")
    steps = [one for one in (dense, wanted) if one.trained and one not in job.memory]
    return list(dict.fromkeys(steps))


def trained(job: Job, wanted: Wanted) -> nn.Module:
    """The model, trained; from memory where it was trained before."""
    if not wanted.trained:
        return job.teacher
    if wanted not in job.memory:
        torch.manual_seed(job.seed)
        recipe = job.recipe
        if wanted.sparsity == "dense":
            model = job.workload.student(**dict(wanted.student))
            distill(model, job, wanted, recipe.epochs, recipe.learning_rate)
        else:
            model = copy.deepcopy(trained(job, replace(wanted, sparsity="dense")))
            prune(model, job, wanted.sparsity)
            distill(model, job, wanted, recipe.finetune_epochs, recipe.learning_rate * FINETUNE_SHARE)
        job.memory[wanted] = model
    return job.memory[wanted]


def to_onnx(model: nn.Module, job: Job, path: Path) -> None:
    """Export for batch 1, with the weights inside the file."""
    names = {"input_names": job.names, "output_names": ["output"]}
    torch.onnx.export(model, job.example, str(path), dynamo=False, verbose=False, **names)
