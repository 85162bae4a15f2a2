"""A candidate as parameters, numbers and tags, each a plain text or number."""

from __future__ import annotations

from ...profiles.quantity import Quantity
from ...search.record.candidate import Candidate
from .parcel import Parcel

_LONGEST = 500


def parameters(parcel: Parcel) -> dict[str, str]:
    """What tells the candidate from the others of its study, by the names of a study file's axes."""
    candidate, bundle = parcel.trial.evaluation.candidate, parcel.bundle
    found: dict[str, object] = {"backend": candidate.backend, "precision": str(candidate.precision)}
    found |= {f"student.{axis}": value for axis, value in candidate.student}
    found |= {"sparsity": candidate.sparsity, **_calibration(candidate), **_recipe(candidate)}
    found |= {"batch": bundle.batch, "threads": bundle.threads}
    found |= {f"option.{name}": value for name, value in {**bundle.compiled_with, **bundle.options}.items()}
    return {name: str(value)[:_LONGEST] for name, value in found.items()}


def _calibration(candidate: Candidate) -> dict[str, object]:
    if not candidate.precision.decoded.integer:
        return {}
    found: dict[str, object] = {"calibration.per_channel": candidate.per_channel}
    if candidate.calibration_method:
        found["calibration.method"] = candidate.calibration_method
        found["calibration.samples"] = candidate.calibration_samples
    return found


def _recipe(candidate: Candidate) -> dict[str, object]:
    recipe = candidate.recipe
    if recipe is None:
        return {}
    return {
        "distill.temperature": recipe.temperature,
        "distill.weight": recipe.distill_weight,
        "training.epochs": recipe.epochs,
        "training.finetune_epochs": recipe.finetune_epochs,
        "training.learning_rate": recipe.learning_rate,
        "training.batch": recipe.batch,
        "training.seed": recipe.seed,
    }


def numbers(parcel: Parcel) -> dict[str, float]:
    """Each metric with the ends of its interval as `NAME_low` and `NAME_high`, where it has them."""
    return {key: value for name, q in parcel.metrics.items() for key, value in _with_ends(name, q)}


def _with_ends(name: str, quantity: Quantity) -> list[tuple[str, float]]:
    ends = ((f"{name}_low", quantity.low), (f"{name}_high", quantity.high))
    return [(name, quantity.value), *((key, end) for key, end in ends if end is not None)]


def tags(parcel: Parcel) -> dict[str, str]:
    """Where it is from, what it was made and measured with, and what names it."""
    bundle = parcel.bundle
    found = {
        "paretune.content": parcel.content,
        "paretune.digest": bundle.digest,
        "paretune.artifact_sha256": parcel.artifact_sha256,
        "paretune.study": bundle.study,
        "paretune.trial": str(bundle.trial),
        "paretune.title": bundle.title,
        "paretune.profile": bundle.profile,
        "paretune.ended": bundle.ended,
        "paretune.version": bundle.paretune,
        "paretune.recommended": str(parcel.reading.verdict.recommended == bundle.trial).lower(),
    }
    found |= {f"paretune.versions.{name}": version for name, version in bundle.versions.items()}
    estimated = [name for name, quantity in parcel.metrics.items() if quantity.is_estimate]
    if estimated:
        found["paretune.estimated"] = ", ".join(estimated)
    return {name: value[:_LONGEST] for name, value in found.items()}
