"""A backend that is not ours: each call of it goes through the guard, and each answer is checked.

It is looked at once, when it is loaded; from then on it is what it declared then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import getattr_static
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ...profiles.errors import StageError, UnsupportedError
from ...profiles.guard.user_code import UserCodeError, shown, user_code
from ...profiles.guard.user_place import defined_at
from ...profiles.precision import Precision
from ...profiles.words import one_line
from . import declared
from .backend import (
    Array,
    Artifact,
    Availability,
    Backend,
    CalibrationData,
    CompileSettings,
    Feed,
    LayerGroup,
    Session,
    SourceModel,
)
from .given import GivenFile
from .options import USUAL, Options, RuntimeOption
from .tuning import Tuning

if TYPE_CHECKING:
    from ...profiles.devices.schema import Profile

T = TypeVar("T")
_MOST_TEXT, _MOST_VALUE = 1000, 160


class Foreign(Backend):
    """What `theirs` says and does, checked. `called` is what messages call it.

    Raises, from its making on:
        UserCodeError: their code raised what a backend does not, or said what cannot be.
        UnsupportedError, StageError: their code raised it, as the contract allows.
    """

    def __init__(self, theirs: Backend, called: str) -> None:
        self._theirs, self._called = theirs, called
        for name, checks in declared.CHECKS.items():
            setattr(self, name, self._declared(name, checks))

    @property
    def theirs(self) -> type[Backend]:
        """The class that was loaded."""
        return type(self._theirs)

    def availability(self) -> Availability:
        return self._had("`availability`", self._theirs.availability, declared.AVAILABILITY)

    def precisions(self, profile: Profile) -> tuple[Precision, ...] | None:
        return self._had("`precisions`", lambda: self._theirs.precisions(profile), declared.PRECISIONS)

    def target(self, profile: Profile) -> str:
        return self._had("`target`", lambda: self._theirs.target(profile), declared.TARGET)

    def runs_here(self, target: str) -> bool:
        return self._had("`runs_here`", lambda: self._theirs.runs_here(target), declared.YES_OR_NO)

    def beside(self, name: str) -> Path | None:
        return self._had(f"`beside({name!r})`", lambda: self._theirs.beside(name), declared.FILE)

    def export(self, module: Any, feed: Feed, path: Path) -> dict[str, Array]:
        def ask() -> object:
            return _wrote(path, self._theirs.export(module, feed, path))

        return self._had("`export`", ask, declared.OUTPUTS, feed=feed, path=path)

    def given(self, path: Path) -> GivenFile:
        return self._had("`given`", lambda: self._theirs.given(path), declared.GIVEN, path=path.name)

    def as_source(self, path: Path, shapes: Mapping[str, Sequence[int]]) -> bytes:
        def ask() -> object:
            return self._theirs.as_source(path, shapes)

        return self._had("`as_source`", ask, declared.CONTENT, path=path.name, shapes=shapes)

    def onnx_converter(self) -> Availability:
        return self._had("`onnx_converter`", self._theirs.onnx_converter, declared.AVAILABILITY)

    def from_onnx(self, onnx: Path, data: CalibrationData, batch: int, path: Path) -> dict[str, Array]:
        def ask() -> object:
            return _wrote(path, self._theirs.from_onnx(onnx, data, batch, path))

        return self._had("`from_onnx`", ask, declared.OUTPUTS, data=data, batch=batch, path=path)

    def layers(self, model: SourceModel, precision: Precision) -> tuple[LayerGroup, ...]:
        def ask() -> object:
            return self._theirs.layers(model, precision)

        return self._had("`layers`", ask, declared.GROUPS, precision=precision)

    def tune(
        self, model: SourceModel, settings: CompileSettings, tuning: Tuning, known: Sequence[Path], into: Path
    ) -> dict[str, Any]:
        def ask() -> object:
            return self._theirs.tune(model, settings, tuning, known, into)

        asked = {"precision": settings.precision, "trials": tuning.trials, "seconds": tuning.seconds}
        return self._had("`tune`", ask, declared.FACTS, tuning=asked)

    def compile(
        self, model: SourceModel, settings: CompileSettings, calibration: CalibrationData | None, into: Path
    ) -> Artifact:
        def ask() -> object:
            return self._theirs.compile(model, settings, calibration, into)

        asked = {"precision": settings.precision, "batch": settings.batch}
        return self._had("`compile`", ask, declared.ARTIFACT, settings=asked, calibration=calibration)

    def options(self, profile: Profile, precision: Precision, threads: int) -> tuple[RuntimeOption, ...]:
        def ask() -> object:
            return self._theirs.options(profile, precision, threads)

        return self._had("`options`", ask, declared.OPTIONS, precision=precision, threads=threads)

    def open(self, artifact: Path, batch: int, threads: int, options: Options = USUAL) -> Session:
        def ask() -> object:
            told = (options,) if options else ()  # one that has none need not take any
            return self._theirs.open(artifact, batch, threads, *told)

        given = {"artifact": artifact.name, "batch": batch, "threads": threads, "options": dict(options)}
        return self._had("`open`", ask, declared.SESSION, **given)

    def _place(self, asked: str) -> str:
        """Where they define what was asked for, else their class."""
        found = getattr_static(self.theirs, asked.strip("`").partition("(")[0], None)
        return defined_at(getattr(found, "__func__", found)) or defined_at(self.theirs)

    def _declared(self, name: str, checks: declared.Check[T]) -> T:
        return self._had(f"`{name}`", lambda: getattr(self._theirs, name), checks)

    def _had(self, what: str, ask: Callable[[], object], check: declared.Check[T], **given: object) -> T:
        """What they answer, as the check takes it in."""
        raised: Exception
        answer: object = None
        asked, what = what, f"{what} of {self._called}"
        with user_code(what, given=given, function=self.theirs):
            try:
                answer = ask()
                return check.read(answer)
            except (declared.WrongError, UnsupportedError, StageError) as error:
                raised = error
        if not isinstance(raised, declared.WrongError):
            raise _in_our_words(raised) from raised
        why = one_line(str(raised), _MOST_TEXT)
        gave = _shown(answer) + (f" ({why})" if why else "")
        raise UserCodeError(f"{what} gave {gave}, and has to give {check.accepted}", place=self._place(asked))


def _wrote(path: Path, answer: object) -> object:
    if not path.is_file():
        raise declared.WrongError(f"it wrote no {path.name}")
    return answer


def _shown(answer: object) -> str:
    try:
        return one_line(repr(answer), _MOST_VALUE)
    except BaseException:  # whatever an object of theirs does when it is looked at
        return shown(answer)


def _in_our_words(error: Exception) -> Exception:
    """An error that the contract allows, with texts that are texts, whatever theirs hold."""
    if isinstance(error, UserCodeError):
        return error
    if isinstance(error, StageError):
        stage, cause, log = (str(getattr(error, name, "")) for name in ("stage", "cause", "log"))
        return StageError(
            one_line(stage, 40) or "compile",
            one_line(cause or str(error), _MOST_TEXT),
            log,
            disagrees=getattr(error, "disagrees", False) is True,
        )
    return UnsupportedError(one_line(str(getattr(error, "reason", "") or error), _MOST_TEXT))
