"""The study's side of a runner: starts it, asks it, and turns every way it can end into one clear error."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from ...profiles.errors import StageError, UserError
from ..contract.backend import (
    Array,
    Artifact,
    Availability,
    CalibrationData,
    CompileSettings,
    Feed,
    SourceModel,
)
from ..contract.options import USUAL, Options
from ..contract.tuning import Tuning
from . import no_runner, replies
from .child import (
    Child,
    ChildEndedError,
    ChildSilentError,
    died_from_outside,
    lacked_memory,
    status_in_words,
)
from .frames import MAX_ARRAY_BYTES, Message, ProtocolError, StreamEndedError, read_message, write_message
from .guard import Guard as Guard  # words of the client too
from .guard import Pinned as Pinned
from .launch import Launch
from .pace import Pace, paced, sampled
from .reading import Reply, number, verbatim, whole
from .replies import Hello, Opened
from .ssh_words import SEE
from .start import start
from .transfer import Transfer
from .trouble import Trouble, UnreachableError

# The part of a study that an operation belongs to, as failures name it.
_STAGES = {"compile": "compile", "make": "compile", "tune": "tune", "infer": "score"}
CLOSE_S, TUNE_MARGIN_S, MOST_TUNED_BYTES = 5.0, 60.0, 2**28
"""A round of tuning that has begun may end in its margin; one that takes longer hangs."""


class RunnerClient:
    """One runner process, from `with` to the end of its block (or from the first request to `close`).

    Use a fresh one for each artifact that is measured: load time and memory mean nothing in a process that
    has compiled or held another. Every method raises:
        UnsupportedError: the backend says that the combination cannot exist.
        UserError: something that the user can mend; also where the device cannot be reached.
        StageError: anything else: an error in the runtime, a crash, a hang, too much memory. After a crash or
            a hang the client is dead, and says the same again.
    """

    def __init__(self, launch: Launch, *, guard: Guard | None = None, pinned: Pinned = False) -> None:
        self._launch, self._guard, self._pinned = launch, guard or Guard(), pinned
        self._child: Child | None = None
        self._ended: StageError | UserError | None = None
        self._files = Transfer(self.ask, self._guard.open_s, shares_files=launch.shares_files)
        self._batch = 1
        self._sampling = Pace(self._guard.run_s)

    def __enter__(self) -> RunnerClient:
        self._started()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hello(self) -> Hello:
        """Process id and environment of the runner: the check that the device can be reached.

        Raises:
            UnreachableError: a device that is not this machine does not answer, or with nonsense.
        """
        try:
            return replies.hello(self.ask("hello", self._guard.open_s))
        except StageError as error:
            if self._launch.shares_files:
                raise
            lost = error.outside or error.silent
            raise UnreachableError(
                self._launch,
                Trouble.SILENT if lost else Trouble.NO_RUNNER,
                problem="" if lost else "it does not answer as a runner does",
                found=error.cause,
                remedy=SEE.format(by_hand=self._launch.by_hand) if lost else no_runner.READY,
            ) from error

    def available(self, backend: str) -> Availability:
        """Whether the runtime of a backend can be used in the runner, which loads it to find out."""
        return replies.available(self.ask("available", self._guard.open_s, {"backend": backend}))

    def put(self, path: Path, beside: str = "") -> str:
        """`Transfer.put`."""
        return self._files.put(path, beside)

    def compile(
        self,
        backend: str,
        model: SourceModel,
        settings: CompileSettings,
        calibration: CalibrationData | None,
        into: Path,
    ) -> Artifact:
        """`Backend.compile` in the runner; the artifact's file ends in the existing directory `into`, and
        nothing else that the backend may have written."""
        asked = self._asked(backend, model, settings, calibration is not None)
        aside = Path(tempfile.mkdtemp(prefix=".compiling-", dir=into))
        try:
            there = str(aside.resolve()) if self._launch.shares_files else ""
            reply = self.ask("compile", self._guard.compile_s, {**asked, "into": there}, calibration or {})
            made = replies.made_in(reply, aside) if there else self._fetched(reply, aside)
            path = made.rename(into / made.name)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return replies.artifact(reply, path, backend, settings.precision)

    def make(
        self,
        backend: str,
        model: SourceModel,
        settings: CompileSettings,
        calibration: CalibrationData | None,
        into: Path,
    ) -> Path:
        """`Backend.make` in a runner of this machine: the file in the existing directory `into`."""
        asked = {**self._asked(backend, model, settings, calibration is not None), "into": str(into)}
        reply = self.ask("make", self._guard.compile_s, asked, calibration or {})
        return replies.made_in(reply, into)

    def tune(
        self,
        backend: str,
        model: SourceModel,
        settings: CompileSettings,
        tuning: Tuning,
        known: Sequence[Path],
        into: Path,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> dict[str, Any]:
        """`Backend.tune` in the runner, whose files end in the existing directory `into`; its facts.

        It is killed `TUNE_MARGIN_S` beyond its time: what it has written by then stays, where this machine
        is the device. `meanwhile` is called every second, and what it raises ends the tuning.
        """
        body = {
            **self._asked(backend, model, settings, False),
            "tuning": asdict(tuning),
            "known": [self._files.put_folder(folder) for folder in known],
            "into": str(into.resolve()) if self._launch.shares_files else "",
        }
        reply = self.ask("tune", tuning.seconds + TUNE_MARGIN_S, body, meanwhile=meanwhile)
        if not self._launch.shares_files:
            for name, there in replies.found_files(reply).items():
                self._files.fetch(there, into / name, MOST_TUNED_BYTES)
        return replies.facts(reply)

    def _asked(
        self, backend: str, model: SourceModel, settings: CompileSettings, calibrated: bool
    ) -> dict[str, Any]:
        return {
            "backend": backend,
            "path": self.put(model.path),
            "format": model.format,
            "made": self.put(model.made) if model.made else "",
            "tuned": self._files.put_folder(model.tuned) if model.tuned else "",
            "settings": {**asdict(settings), "precision": str(settings.precision)},
            "calibrated": calibrated,
        }

    def _fetched(self, compiled: Reply, into: Path) -> Path:
        path, most = into / replies.file_name(compiled), compiled.read("size_bytes", whole)
        self._files.fetch(compiled.read("path", verbatim), path, most)
        return path

    def open(
        self, backend: str, artifact: Path, batch: int, threads: int, options: Options = USUAL
    ) -> Opened:
        """Load an artifact; where pinned, on as many cores as it has threads (`measure.cores`)."""
        body = {"backend": backend, "path": self.put(artifact), "batch": batch, "threads": threads}
        body |= {"pinned": self._pinned, "options": dict(options)}
        found = replies.opened(self.ask("open", self._guard.open_s, body))
        self._batch = batch
        return found if self._pinned else replace(found, cores=())

    def prepare(self, feed: Feed) -> float:
        """Store the feed that `sample` runs, run it once, and return the milliseconds that took."""
        first_ms = self.ask("prepare", self._guard.run_s, {}, feed).read("first_inference_ms", number)
        self._sampling.took(1, first_ms / 1e3)
        return first_ms

    def infer(self, data: CalibrationData) -> dict[str, Array]:
        """Outputs for all samples (axis 0), computed in batches of the opened size."""
        ask = partial(self.ask, "infer", self._guard.run_s, {}, most=MAX_ARRAY_BYTES)
        return replies.outputs(list(paced(data, self._batch, Pace(self._guard.run_s), ask)))

    def sample(self, loops: int, count: int) -> list[int]:
        """Nanoseconds of `count` samples; each is the time of `loops` runs together."""
        return sampled(loops, count, self._sampling, partial(self.ask, "sample", self._guard.run_s))

    def memory(self) -> int:
        """Bytes that runtime and model cost at their peak, up to and including the first run."""
        return self.ask("memory", self._guard.open_s).read("growth_bytes", whole)

    @property
    def ended(self) -> StageError | UserError | None:
        """How it ended, None while it can be asked."""
        return self._ended

    def close(self) -> None:
        """End the runner; a second call does nothing."""
        child, self._child = self._child, None
        if child is None:
            return
        try:
            write_message(child.writer(CLOSE_S), Message(body={"do": "close"}))
            read_message(child.reader(CLOSE_S))
        except (ProtocolError, ChildEndedError, ChildSilentError):
            pass  # it is killed below in any case
        finally:
            child.kill()
            self._ended = self._ended or StageError("measure", "the runner is closed")

    def abandon(self) -> None:
        """End this side of a line at whose other end nobody may answer."""
        if self._child is not None and not self._launch.shares_files:
            self._end(self._child, "measure", "given up")

    def _started(self) -> Child:
        if self._ended is not None:
            raise self._ended
        if self._child is None:
            try:
                self._child = start(self._launch, self._guard.open_s, self._guard.memory_bytes)
            except (StageError, UserError) as error:
                self._ended = error
                raise
        return self._child

    def ask(
        self,
        operation: str,
        seconds: float,
        body: Mapping[str, Any] | None = None,
        arrays: Feed | None = None,
        *,
        most: int = 0,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> Reply:
        """What was answered to an operation within so many seconds, with at most so many bytes of arrays."""
        child = self._started()
        message = Message(body={**(body or {}), "do": operation}, arrays=arrays or {})
        stage = _STAGES.get(operation, "measure")
        away = not self._launch.shares_files
        reply = partial(Reply, device=self._launch.device, away=away, operation=operation, stage=stage)
        try:
            write_message(child.writer(seconds), message)
            answer = read_message(child.reader(seconds, meanwhile), most)
        except ChildSilentError as error:
            child.ask_where()
            cause = f"no answer to {operation} within {seconds:g} s: killed"
            raise self._end(child, stage, cause, silent=True) from error
        except (StreamEndedError, ChildEndedError) as error:
            raise self._died(child, stage) from error
        except ProtocolError as error:
            raise self._end(child, stage, reply(body={}).wrong(str(error)).cause) from error
        except BaseException:
            self._end(child, stage, "interrupted")  # half a reply may be left in the pipe
            raise
        answered = reply(body=answer.body, arrays=answer.arrays)
        replies.raise_error(answered, self._guard.memory_bytes)
        return answered

    def _died(self, child: Child, stage: str) -> StageError:
        status, log, limit = child.wait(5.0), child.log(replies.LOG_BYTES), self._guard.memory_bytes
        remote = not self._launch.shares_files
        cause = status_in_words(status, log, remote=remote)
        if limit is not None and lacked_memory(log):
            cause += f"; {replies.over_limit(limit)}"
        outside = died_from_outside(status, log, remote=remote, limited=limit is not None)
        return self._end(child, stage, cause, outside=outside)

    def _end(
        self, child: Child, stage: str, cause: str, *, outside: bool = False, silent: bool = False
    ) -> StageError:
        child.kill()
        self._child = None
        log = child.log(replies.LOG_BYTES)
        where = "" if self._launch.shares_files else self._launch.device
        self._ended = StageError(stage, cause, log, outside=outside, silent=silent, device=where)
        return self._ended
