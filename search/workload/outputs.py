"""Which of a model's outputs are meant: by the metric, and by the labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...profiles.errors import StageError, UserError
from .metric import Array, Metric, Outputs
from .task import CLASS_TASKS, class_axis, possible_tasks

if TYPE_CHECKING:
    from .workload import Workload


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What an output holds for one sample: "float", "integer" or "boolean" numbers, in a shape."""

    kind: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array: Array) -> Layout:
        """That of an array over samples (axis 0)."""
        kinds = {"f": "float", "i": "integer", "u": "integer", "b": "boolean"}
        return cls(kind=kinds.get(array.dtype.kind, str(array.dtype)), shape=array.shape[1:])

    def __str__(self) -> str:
        return f"{self.kind}{list(self.shape)}"


@dataclass(frozen=True, kw_only=True)
class OutputChoice:
    """The outputs of a model. `names`: all, in its order. `primary`: the one that labels, teacher and side
    effects are compared with. `scored`: what the metric is given, as an array where `as_array`, else by name.
    `because` says why, where there was a choice. `layout` is that of the float model's outputs, by name.
    `decoded` gives, by name, what reads an output whose whole numbers stand for others, and `codes` their
    scale and zero point."""

    names: tuple[str, ...]
    primary: str
    scored: tuple[str, ...]
    as_array: bool = True
    because: str = ""
    layout: Mapping[str, Layout] = field(default_factory=dict)
    decoded: Mapping[str, Callable[[Array], Array]] = field(default_factory=dict)
    codes: Mapping[str, tuple[float, int]] = field(default_factory=dict)

    @property
    def others(self) -> tuple[str, ...]:
        """All but the primary one."""
        return tuple(name for name in self.names if name != self.primary)

    @property
    def digest(self) -> tuple[str, ...]:
        """What a score depends on beside metric and model; nothing where the metric gets the first output, as
        it did before there was a choice."""
        return () if self.as_array and self.scored == self.names[:1] else (str(self.as_array), *self.scored)

    def laid_out(self, outputs: Mapping[str, Array]) -> OutputChoice:
        """The choice with the layout of these outputs of the float model."""
        return replace(self, layout={name: Layout.of(array) for name, array in outputs.items()})

    def by_name(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a model or artifact in this order, as numbers; one alone may have any name.

        Raises:
            StageError: one of them is missing.
        """
        if len(outputs) == len(self.names) == 1:
            return self._read({self.primary: next(iter(outputs.values()))})
        missing = [name for name in self.names if name not in outputs]
        if missing:
            raise StageError("score", f"the artifact has no output {missing[0]!r}, but {', '.join(outputs)}")
        return self._read({name: outputs[name] for name in self.names})

    def _read(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        return {name: self.decoded.get(name, np.asarray)(array) for name, array in outputs.items()}

    def for_metric(self, outputs: Mapping[str, Array]) -> Outputs:
        """What the metric is given out of all outputs by name."""
        return outputs[self.scored[0]] if self.as_array else {name: outputs[name] for name in self.scored}


def only(name: str) -> OutputChoice:
    """The choice of a model with one output."""
    return OutputChoice(names=(name,), primary=name, scored=(name,))


def rows_of(outputs: Outputs, rows: Any) -> Outputs:
    """Some samples of what a metric is given."""
    if isinstance(outputs, np.ndarray):
        return np.asarray(outputs[rows])
    return {name: array[rows] for name, array in outputs.items()}


def choose_outputs(workload: Workload, outputs: Mapping[str, Array], labels: Array) -> OutputChoice:
    """Which outputs of the model are meant. `outputs` has all by name, in its order, for a few samples with
    these `labels` (their values may be those of an untrained model).

    What the workload names is taken. Without that, a metric is given the one output that it can score and
    that fits the labels; a metric of the user's own that can score none alone is given all by name.

    Raises:
        UserError: an output that the model has not, or more than one reading.
    """
    return _chosen(workload, outputs, labels).laid_out(outputs)


def _chosen(workload: Workload, outputs: Mapping[str, Array], labels: Array) -> OutputChoice:
    names = tuple(outputs)
    wanted = (workload.outputs,) if isinstance(workload.outputs, str) else tuple(workload.outputs or ())
    if wanted:
        _check_known(wanted, names)
        return _choice(names, wanted, outputs, labels, isinstance(workload.outputs, str), "")
    if len(names) == 1:
        return only(names[0])
    fitting = _fitting(workload.metric, outputs, labels)
    if len(fitting) == 1:
        because = f"of the outputs {', '.join(names)} it is the one that labels and metric fit"
        return _choice(names, fitting, outputs, labels, True, because)
    plain = len(_with_readings(outputs, labels)) < 2 or _of_labels(outputs, labels)
    if not fitting and plain and _scores(workload.metric, outputs, labels):
        because = f"the metric {workload.metric.name!r} takes all outputs by name: {', '.join(names)}"
        return _choice(names, names, outputs, labels, False, because)
    raise _question(workload.metric, names, fitting, outputs)


def _choice(
    names: tuple[str, ...],
    scored: tuple[str, ...],
    outputs: Mapping[str, Array],
    labels: Array,
    as_array: bool,
    because: str,
) -> OutputChoice:
    primary = _of_labels({name: outputs[name] for name in scored}, labels) or scored[0]
    return OutputChoice(names=names, primary=primary, scored=scored, as_array=as_array, because=because)


def _fitting(metric: Metric, outputs: Mapping[str, Array], labels: Array) -> tuple[str, ...]:
    """Outputs that the metric can score alone; of several, those that the labels fit."""
    scored = [name for name, array in outputs.items() if _scores(metric, array, labels)]
    one = _of_labels({name: outputs[name] for name in scored}, labels)
    return (one,) if one else tuple(scored)


def _of_labels(outputs: Mapping[str, Array], labels: Array) -> str:
    """The one output that the labels plainly belong to; "" where there is none, or more than one."""
    readings = {name: possible_tasks(labels, array.shape[1:]) for name, array in outputs.items()}
    fitting = [name for name, tasks in readings.items() if tasks]
    # Class numbers belong to scores of classes first, though 0 and 1 would also fit one column; and of these
    # to those of as many classes as there are.
    classes = [name for name in fitting if readings[name][0] in CLASS_TASKS]
    exact = [name for name in classes if _columns(outputs[name], labels) == int(labels.max()) + 1]
    return next((names[0] for names in (exact, classes, fitting) if len(names) == 1), "")


def _with_readings(outputs: Mapping[str, Array], labels: Array) -> list[str]:
    return [name for name, array in outputs.items() if possible_tasks(labels, array.shape[1:])]


def _columns(output: Array, labels: Array) -> int:
    return int(output.shape[class_axis(labels, output.shape[1:]) or -1])


def _scores(metric: Metric, outputs: Outputs, labels: Array) -> bool:
    try:
        metric.score(outputs, labels, place="a few samples")
    except StageError:
        return False
    return True


def _check_known(wanted: tuple[str, ...], names: tuple[str, ...]) -> None:
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise UserError(
            f"the model has no output {unknown[0]!r}",
            place="`outputs` of the workload",
            found=f"outputs {', '.join(names)}",
            accepted="one or more of these names; for a tuple also as many new names as it has outputs",
        )


def _question(
    metric: Metric, names: tuple[str, ...], fitting: tuple[str, ...], outputs: Mapping[str, Array]
) -> UserError:
    shapes = ", ".join(f"{name} {array.dtype}{list(array.shape)}" for name, array in outputs.items())
    which = "several" if fitting else "none"
    return UserError(
        f"the metric {metric.name!r} can score {which} of the model's {len(names)} outputs: which is meant?",
        place="`outputs` of the workload",
        found=shapes,
        accepted=f'`outputs="{(fitting or names)[0]}"` for one as an array; '
        f"`outputs={names!r}` for several, which the metric is given by name",
    )
