"""From what the study file asks for to what can exist on the device, with the installed runtimes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ...backends.contract.backend import ONNX, Availability, Backend
from ...backends.registry import (
    backend_names,
    get_backend,
    given_to,
    offered_precisions,
    offers,
    taker_of,
    value_dependent,
)
from ...profiles.devices.schema import Profile
from ...profiles.errors import UserError, at_place
from ...profiles.precision import Precision
from ..record.candidate import Recipe
from ..record.evaluation import Masked
from ..space.derived_students import student_shares
from ..space.space import BackendChoices, Space
from ..workload.loader import check_arguments
from ..workload.task import EMBEDDING, UNKNOWN
from ..workload.workload import Workload
from .study_file import StudyFile

if TYPE_CHECKING:
    from ...backends.contract.given import Given


_TUNING = "`tuning: {trials: 256, time: 10 min}`"


def build_space(study: StudyFile, profile: Profile, workload: Workload, file: Path | None = None) -> Space:
    """The space of a study on a device; everything that is left out is listed with its reason. `file` is that
    of a model that exists only as a file.

    Raises:
        UserError: nothing is left, a named backend is not installed, or the workload cannot build students.
    """
    masked: list[Masked] = []
    model = _given(file)
    _check_workload(study, workload, model)
    found = []
    for name in study.space.backend or backend_names():
        try:
            with at_place("space.backend"):
                choices, left_out = _offered(name, study, profile, workload, model)
        except UserError as error:
            if study.space.backend is not None:
                raise
            choices, left_out = None, [Masked(backend=name, what="all", reason=_why(error))]
        masked += left_out
        if choices is not None and choices.precisions and choices.sparsities:
            found.append(choices)
    found.sort(key=lambda choices: choices.tunable)  # the first one is the reference
    return Space(
        backends=tuple(found),
        student_axes=dict(study.space.student),
        temperatures=study.space.distill.temperature,
        weights=_weights(study, workload),
        calibration_samples=study.space.calibration.samples,
        per_channel=study.space.calibration.per_channel,
        recipe=Recipe(
            epochs=study.training.epochs,
            learning_rate=study.training.learning_rate,
            batch=study.training.batch,
            finetune_epochs=study.training.finetune_epochs,
            patience=study.training.patience or 0,
            seed=study.seed,
        ),
        trains=model is None,
        masked=tuple(masked),
    )


def _why(error: UserError) -> str:
    return f"{error.problem} ({error.place})" if error.place else error.problem


def _offered(
    name: str, study: StudyFile, profile: Profile, workload: Workload, model: Given | None
) -> tuple[BackendChoices | None, list[Masked]]:
    """What a backend offers of what is asked for, and what is left out.

    Raises:
        UserError: it cannot be loaded, or was asked for and is not installed.
    """
    backend = get_backend(name)
    there = backend.compiles_on_device and profile.reach.kind == "ssh"
    asked = study.space.backend is not None
    why = _unusable(backend, model, asked=asked, only_there=there) or _untuned(backend, study, asked=asked)
    if why:
        return None, [Masked(backend=name, what="all", reason=why)]
    masked = [
        Masked(backend=name, what=offer.what, reason=offer.reason)
        for offer in offers(name, profile)
        if not offer.offered and _asked(offer.what, study)
    ]
    if not offered_precisions(name, profile):
        return None, masked
    choices, left_out = _choices(name, backend, study, profile, model)
    return choices, masked + left_out


def _weights(study: StudyFile, workload: Workload) -> tuple[float, ...]:
    """Weights of the teacher's outputs. The 0 that stands there by default is left out where nothing but the
    teacher can be learned from, or the workload's own loss decides what the teacher is asked."""
    distill = study.space.distill
    alone = callable(workload.loss) or workload.stated_task in (EMBEDDING, UNKNOWN)
    if alone and "weight" not in distill.model_fields_set:
        return tuple(weight for weight in distill.weight if weight)
    return distill.weight


def _given(file: Path | None) -> Given | None:
    """What the file of a model holds.

    Raises:
        UserError: no workload can have it.
    """
    if file is None:
        return None
    taker = taker_of(file)
    if taker is None:
        from ...backends.onnx_graph.given import given  # onnx takes a while to load

        return given(file)
    return given_to(taker, file)


def _check_workload(study: StudyFile, workload: Workload, model: Given | None) -> None:
    if model is not None and (study.space.student or study.space.sparsity != ("dense",)):
        raise UserError(
            f"a model that exists only as {model.title} cannot be trained, so it has no students and no "
            "sparsity",
            place="space",
            remedy="remove `student` and `sparsity`; precision, calibration and backend are searched",
        )
    if model is not None and model.batch and set(study.deploy.batch) != {model.batch}:
        raise UserError(
            f"the {model.title} file takes {model.batch} samples at once and no other number",
            place="deploy.batch",
            found=", ".join(map(str, study.deploy.batch)),
            accepted=str(model.batch),
            remedy=f"write `deploy: {{batch: {model.batch}}}`, or convert the model with a free batch",
        )
    if study.space.student and workload.student is None:
        for axis, values in study.space.student.items():
            for value in values:
                student_shares(((axis, value),))
    elif study.space.student and workload.student is not None:
        first = {axis: values[0] for axis, values in study.space.student.items()}
        check_arguments(workload.student, first, "space.student")


def _unusable(backend: Backend, model: Given | None, *, asked: bool, only_there: bool) -> str:
    """Why a backend cannot be used; `only_there`: it is needed on the device alone, not on this machine."""
    if model is not None and backend.source_format != model.source_format:
        converter = backend.onnx_converter()
        if model.source_format != ONNX:
            reads = backend.source_title
            return f"{backend.name} compiles from {reads}, and this workload exists only as {model.title}"
        if not converter.installed:
            return _missing(converter)
    available = backend.availability()
    if available.installed or only_there:
        return ""
    if asked:
        raise UserError(
            f"backend {backend.name!r} is not installed",
            place="space.backend",
            found=available.reason,
            remedy=available.install or "leave it out of the study file",
        )
    return _missing(available)


def _missing(what: Availability) -> str:
    return f"{what.reason}; {what.install}" if what.install else what.reason


def _untuned(backend: Backend, study: StudyFile, *, asked: bool) -> str:
    """Why a backend that has to be tuned cannot be used: nothing says how long that may take.

    Raises:
        UserError: it was asked for; or one tuning may take longer than the whole study.
    """
    title = backend.title or backend.name
    why = f"{title} is slow until it is tuned, so it is offered with a tuning budget only"
    if not backend.tunable or (study.tuning is None and not asked):
        return f"{why}: write {_TUNING} into the study file" if backend.tunable else ""
    if study.tuning is None:
        raise UserError(
            why,
            place="space.backend",
            found="no `tuning` in the study file",
            accepted=f"{_TUNING}: at most so many schedules and so long for each candidate that is tuned",
            remedy=f"add that line, or leave {backend.name} out",
        )
    most, time = study.budget.time, study.tuning.time
    if most is not None and time > most:
        raise UserError(
            "one tuning may take longer than the whole study",
            place="tuning.time" if "time" in study.tuning.model_fields_set else "tuning",
            found=f"{time:g} s for a tuning, a budget of {most:g} s",
            accepted=f"a time up to {most:g} s; half of it or less leaves time for the rest",
            remedy=f"tune shorter, give the study longer, or leave {backend.name} out of `space.backend`",
        )
    return ""


def _asked(what: str, study: StudyFile) -> bool:
    return what in ("all", "2:4") or study.space.precision is None or what in map(str, study.space.precision)


def _choices(
    name: str, backend: Backend, study: StudyFile, profile: Profile, model: Given | None
) -> tuple[BackendChoices, list[Masked]]:
    masked: list[Masked] = []
    asked = study.space.precision
    precisions = tuple(
        precision for precision in offered_precisions(name, profile) if asked is None or precision in asked
    )
    precisions = _with_float(name, profile, precisions)
    if model is not None:
        precisions, unfit = _of_model(backend, precisions, model)
        masked += unfit
    wanted = study.space.calibration.method
    methods: tuple[str, ...] = tuple(m for m in wanted if m in backend.calibration_methods)
    for method in wanted:
        if method not in backend.calibration_methods:
            reason = f"{backend.name} calibrates by {', '.join(backend.calibration_methods)} alone"
            masked.append(Masked(backend=name, what=f"calibration {method}", reason=reason))
    if not methods and any(precision.decoded.calibrated for precision in precisions):
        methods = backend.calibration_methods[:1]
    offered = {offer.what: offer.offered for offer in offers(name, profile)}
    sparsities = tuple(s for s in study.space.sparsity if s != "2:4" or offered.get("2:4", False))
    choices = BackendChoices(
        name=name,
        precisions=precisions,
        calibration_methods=methods,
        sparsities=sparsities,
        value_dependent=tuple(value_dependent(name, profile).items()),
        tunable=get_backend(name).tunable,
    )
    return choices, masked


def _of_model(
    backend: Backend, precisions: tuple[Precision, ...], model: Given
) -> tuple[tuple[Precision, ...], list[Masked]]:
    """The precisions that a file can be had at: one that is quantized already, as it is alone."""
    kept = backend.as_given and model.quantized and backend.source_format == model.source_format
    able = (*precisions, *([Precision.GIVEN] if kept else []))
    reasons = {precision: model.unfit(precision) for precision in able}
    masked = [Masked(backend=backend.name, what=str(p), reason=why) for p, why in reasons.items() if why]
    return tuple(precision for precision in able if not reasons[precision]), masked


def _with_float(name: str, profile: Profile, precisions: tuple[Precision, ...]) -> tuple[Precision, ...]:
    # fp32 is the simple choice that everything is stated against, so it is always part of the space.
    if (
        precisions
        and Precision.FP32 not in precisions
        and Precision.FP32 in offered_precisions(name, profile)
    ):
        return (Precision.FP32, *precisions)
    return precisions
