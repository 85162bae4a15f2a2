"""How one trial is run again: the part of a study file that leaves only its candidate in the space."""

from __future__ import annotations

from typing import Any

from ...profiles.text.strict_yaml import to_yaml
from ...search.record.candidate import Candidate
from ...search.record.evaluation import StudyRecord, TrialRecord
from .markdown import fence


def run_again_lines(record: StudyRecord, trial: TrialRecord) -> list[str]:
    """The command, and the part of a study file that leaves only this candidate in the space."""
    name, text = " ".join(record.name.split()), to_yaml(fragment(trial.evaluation.candidate))
    device = f"with the profile of {record.profile}, " if record.retargets else ""
    estimate = " --estimate" if record.estimated else ""
    intro = (
        f"Put this in place of `space` and `training` of the study file, under another `name` than "
        f"{name}, {device}and run `paretune run STUDY{estimate}`. What the store still has is not made again."
    )
    marks = fence(text)
    return [intro, "", f"{marks}yaml", *text.splitlines(), marks]


def fragment(candidate: Candidate) -> dict[str, Any]:
    """The sections of a study file whose space holds this candidate and the simple choices alone."""
    space: dict[str, Any] = {"backend": [candidate.backend], "precision": [str(candidate.precision)]}
    if candidate.student:
        space["student"] = {axis: [value] for axis, value in candidate.student}
    space["sparsity"] = [candidate.sparsity]
    if candidate.precision.decoded.integer:
        calibration: dict[str, Any] = {"per_channel": [candidate.per_channel]}
        if candidate.calibration_method:
            calibration["method"] = [candidate.calibration_method]
            calibration["samples"] = [candidate.calibration_samples]
        space["calibration"] = calibration
    recipe = candidate.recipe
    if recipe is None:
        return {"space": space}
    space["distill"] = {"temperature": [recipe.temperature], "weight": [recipe.distill_weight]}
    training = {
        "epochs": recipe.epochs,
        "finetune_epochs": recipe.finetune_epochs,
        "learning_rate": recipe.learning_rate,
        "batch": recipe.batch,
        **({"patience": recipe.patience} if recipe.patience else {}),
    }
    return {"space": space, "training": training}
