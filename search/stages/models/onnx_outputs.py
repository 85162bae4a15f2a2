"""Which output of an ONNX model is scored, and whether what is made of it still computes the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ....profiles.errors import UserError
from ....profiles.words import joined
from ...workload.outputs import OutputChoice, choose_outputs
from ...workload.workload import ACCURACY, Array, Workload

TOLERANCE = {"": 1e-3, "float64": 1e-3, "float16": 3e-2, "bfloat16": 1e-1}
"""Of the largest output: what rounding in the type that the model came in explains."""


def meant(outputs: Mapping[str, Array], labels: Array, workload: Workload, place: str) -> OutputChoice:
    """Which outputs are meant: those that the workload names, else those that `choose_outputs` finds, or for
    the accuracy of samples the one with the scores of the classes; the primary one stands first.

    Raises:
        UserError: it is not plain which output is meant, or the workload names one that there is not.
    """
    if workload.outputs or workload.metric.name != ACCURACY.name or labels.ndim != 1:
        choice = choose_outputs(workload, outputs, labels)
    else:
        name, because = _with_class_scores(outputs, labels, place)
        choice = OutputChoice(names=tuple(outputs), primary=name, scored=(name,), because=because)
        choice = choice.laid_out(outputs)
    return replace(choice, names=(choice.primary, *choice.others))


def _with_class_scores(outputs: Mapping[str, Array], labels: Array, place: str) -> tuple[str, str]:
    """The output that scores classes, and why it is that where there are several."""
    first, classes = next(iter(outputs)), int(labels.max()) + 1
    if len(outputs) == 1 and not _are_class_numbers(outputs[first], labels):
        return first, ""  # whatever is wrong with it is told by the checks of all models
    scores = [
        name for name, a in outputs.items() if a.ndim == 2 and a.dtype.kind == "f" and a.shape[1] >= classes
    ]
    exact = [name for name in scores if outputs[name].shape[1] == classes]
    for found in (exact, scores):
        if len(found) == 1:
            return found[0], f"{found[0]!r} alone scores each class, of the outputs {_shown(outputs)}"
    if exact and len({outputs[name].argmax(axis=1).tobytes() for name in exact}) == 1:
        return exact[0], f"{joined(exact)} have a score for each class and decide alike"
    raise _unclear(outputs, exact or scores, classes, place)


def _are_class_numbers(output: Array, labels: Array) -> bool:
    return output.dtype.kind in "iu" and output.shape == labels.shape


def _shown(outputs: Mapping[str, Array]) -> str:
    """ "label int64[N], probabilities float32[N, 3]"."""
    return ", ".join(
        f"{name} {array.dtype}[{', '.join(['N', *map(str, array.shape[1:])])}]"
        for name, array in outputs.items()
    )


def _unclear(outputs: Mapping[str, Array], fitting: list[str], classes: int, place: str) -> UserError:
    if fitting:
        return UserError(
            "which output has the scores of the classes?",
            place=place,
            found=f"outputs {_shown(outputs)}; {joined(fitting)} have a score for each of {classes} classes",
            remedy=f'name it in the workload: Workload(..., outputs="{fitting[0]}")',
        )
    return UserError(
        "no output has one score per class",
        place=place,
        found=f"outputs {_shown(outputs)}, labels up to {classes - 1}",
        accepted=f"a float output of shape [N, {classes}]",
        remedy="export the model with its scores as an output; where class numbers are all that it gives, "
        'use a metric of them: Metric(name="right", function=lambda got, labels: (got == labels).mean())',
    )


def check_same_model(
    before: Mapping[str, Array], after: Mapping[str, Array], came_as: str, place: str
) -> None:
    """Compare the outputs of the user's file with those of what was made of it.

    Raises:
        UserError: an output differs by more than rounding explains.
    """
    for name in sorted(set(before) & set(after)):
        if before[name].dtype.kind != "f":
            continue
        wanted, got = before[name].astype(np.float64), after[name].astype(np.float64)
        scale, worst = (float(np.abs(a).max(initial=0.0)) for a in (wanted, wanted - got))
        if worst > TOLERANCE[came_as] * scale + 1e-6:
            raise UserError(
                "the model does not give the same outputs in float32 and with current operators",
                place=place,
                found=f"{name!r} differs by up to {worst:.3g}, its largest value is {scale:.3g}",
                accepted=f"{TOLERANCE[came_as]:g} of the largest value",
                remedy="export the model anew in float32, at opset 17 or later",
            )


def check_reads_input(output: Array, name: str, place: str) -> None:
    """Refuse an output that is the same for every sample.

    Raises:
        UserError: it is.
    """
    if len(output) > 1 and bool((output == output[:1]).all()):
        raise UserError(
            f"the output {name!r} is the same for all samples: it does not depend on the input",
            place=place,
            found=f"{output[:1].ravel()[:4].tolist()} for all of {len(output)} samples",
            remedy="check the export: inputs may have been traced as constants",
        )
