"""The study's side of a runner: starts it, asks it, and turns every way it can end into one clear error."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...profiles.errors import StageError, UserError
from ..contract.backend import (
    Array,
    Artifact,
    CalibrationData,
    CompileSettings,
    Feed,
    SourceModel,
    TensorSpec,
)
from . import replies
from .child import (
    Child,
    ChildEndedError,
    ChildSilentError,
    died_from_outside,
    lacked_memory,
    status_in_words,
)
from .frames import PREAMBLE, Message, ProtocolError, read_message, write_message
from .launch import Launch

# The part of a study that an operation belongs to, as failures name it.
_STAGES = {"compile": "compile", "infer": "score"}
_SENT_AT_ONCE_BYTES = 64 * 2**20
CLOSE_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Guard:
    """Hard limits of a runner: seconds that one request may take, and private memory in bytes.

    `open_s` also holds for starting the runner and sending files, `run_s` for one sample request, one first
    inference, or one part (at most 64 MB of inputs) of a split that is scored.
    """

    compile_s: float = 600.0
    open_s: float = 120.0
    run_s: float = 120.0
    memory_bytes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Hello:
    """Who answers: process id, environment of the device (`environment.py`), loaded top-level modules."""

    pid: int
    environment: Mapping[str, Any]
    modules: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """Signature of an opened artifact, the milliseconds that loading took on the device, and the cores that
    the session is held on (none: not asked for, or the device does not let a process choose)."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    load_ms: float
    cores: tuple[int, ...] = ()


class RunnerClient:
    """One runner process, from `with` to the end of its block (or from the first request to `close`).

    Use a fresh one for each artifact that is measured: load time and memory mean nothing in a process that
    has compiled or held another. Every method raises:
        UnsupportedError: the backend says that the combination cannot exist.
        UserError: something that the user can mend; also where the device cannot be reached.
        StageError: anything else: an error in the runtime, a crash, a hang, too much memory. After a crash or
            a hang the client is dead, and says the same again.
    """

    def __init__(self, launch: Launch, *, guard: Guard | None = None, pinned: bool = False) -> None:
        self._launch, self._guard, self._pinned = launch, guard or Guard(), pinned
        self._child: Child | None = None
        self._ended: StageError | UserError | None = None
        self._sent: dict[Path, str] = {}
        self._batch = 1

    def __enter__(self) -> RunnerClient:
        self._started()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def hello(self) -> Hello:
        """Process id and environment of the runner: the check that the device can be reached."""
        body = self._ask("hello", self._guard.open_s).body
        return Hello(pid=body["pid"], environment=body["environment"], modules=tuple(body["modules"]))

    def put(self, path: Path) -> str:
        """Make a file of this machine readable for the runner; its path there."""
        if self._launch.shares_files:
            return str(path.resolve())
        if path not in self._sent:
            data = {"bytes": np.fromfile(path, dtype=np.uint8)}
            reply = self._ask("put", self._guard.open_s, {"name": path.name}, data)
            self._sent[path] = str(reply.body["path"])
        return self._sent[path]

    def compile(
        self,
        backend: str,
        model: SourceModel,
        settings: CompileSettings,
        calibration: CalibrationData | None,
        into: Path,
    ) -> Artifact:
        """`Backend.compile` in the runner; the artifact's file ends in the existing directory `into`."""
        body = {
            "backend": backend,
            "path": self.put(model.path),
            "format": model.format,
            "settings": {**asdict(settings), "precision": str(settings.precision)},
            "calibrated": calibration is not None,
            "into": str(into.resolve()) if self._launch.shares_files else "",
        }
        found = dict(self._ask("compile", self._guard.compile_s, body, calibration or {}).body)
        path = Path(found["path"])
        if not self._launch.shares_files:
            data = self._ask("fetch", self._guard.open_s, {"path": str(path)}).arrays["bytes"]
            path = into / path.name
            data.tofile(path)
        return replies.artifact(found, path)

    def open(self, backend: str, artifact: Path, batch: int, threads: int) -> Opened:
        """Load an artifact; where pinned, on as many cores as it has threads (`measure.cores`)."""
        body = {"backend": backend, "path": self.put(artifact), "batch": batch, "threads": threads}
        found = self._ask("open", self._guard.open_s, {**body, "pinned": self._pinned}).body
        self._batch = batch
        load_ms = replies.number(found["load_ms"], "load_ms", "measure")
        inputs, outputs = replies.specs(found["inputs"]), replies.specs(found["outputs"])
        cores = tuple(found.get("cores", ()))  # an older runner on a device does not tell
        return Opened(inputs=inputs, outputs=outputs, load_ms=load_ms, cores=cores if self._pinned else ())

    def prepare(self, feed: Feed) -> float:
        """Store the feed that `sample` runs, run it once, and return the milliseconds that took."""
        first_ms = self._ask("prepare", self._guard.run_s, {}, feed).body["first_inference_ms"]
        return replies.number(first_ms, "first_inference_ms", "measure")

    def infer(self, data: CalibrationData) -> dict[str, Array]:
        """Outputs for all samples (axis 0), computed in batches of the opened size."""
        parts = [self._ask("infer", self._guard.run_s, {}, part).arrays for part in _parts(data, self._batch)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def sample(self, loops: int, count: int) -> list[int]:
        """Nanoseconds of `count` samples; each is the time of `loops` runs together."""
        reply = self._ask("sample", self._guard.run_s, {"loops": loops, "count": count})
        return replies.nanoseconds(reply.body["nanoseconds"], count)

    def memory(self) -> int:
        """Bytes that runtime and model cost at their peak, up to and including the first run."""
        grown = self._ask("memory", self._guard.open_s).body["growth_bytes"]
        return replies.whole(grown, "memory_bytes", "measure")

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

    def _started(self) -> Child:
        if self._ended is not None:
            raise self._ended
        if self._child is None:
            self._child = self._start()
        return self._child

    def _start(self) -> Child:
        arguments = []
        if self._guard.memory_bytes is not None:
            arguments += ["--memory-bytes", str(self._guard.memory_bytes)]
        # The kernel's signal comes when the *thread* that started the child ends: only the main one is safe.
        if self._launch.shares_files and threading.current_thread() is threading.main_thread():
            arguments += ["--die-with-parent"]
        try:
            child = Child(self._launch.command(arguments), self._launch.environment())
        except OSError as error:
            raise self._unreachable(str(error)) from error
        try:
            _skip_to_preamble(child, time.monotonic() + self._guard.open_s)
        except (ProtocolError, ChildEndedError, ChildSilentError) as error:
            status = child.wait(1.0)
            child.kill()
            log = child.log(replies.LOG_BYTES).strip()
            outside = self._from_outside(status, log)
            self._ended = self._unreachable(log or str(error), outside=outside)
            raise self._ended from error
        return child

    def _unreachable(self, found: str, *, outside: bool = False) -> UserError | StageError:
        if self._launch.shares_files:
            limit = self._guard.memory_bytes
            cause = "the runner did not start" + (f"; {replies.over_limit(limit)}" if limit else "")
            return StageError("start", cause, found, outside=outside)
        return UserError(
            f"device {self._launch.device} cannot be reached",
            found=found,
            remedy=f"see that `ssh {self._launch.device}` works without a password, and that the profile's "
            "python has paretune and the runtime installed",
        )

    def _ask(
        self,
        operation: str,
        seconds: float,
        body: Mapping[str, Any] | None = None,
        arrays: Feed | None = None,
    ) -> Message:
        child = self._started()
        message = Message(body={**(body or {}), "do": operation}, arrays=arrays or {})
        stage = _STAGES.get(operation, "measure")
        try:
            write_message(child.writer(seconds), message)
            reply = read_message(child.reader(seconds))
        except ChildSilentError as error:
            child.ask_where()
            raise self._end(child, stage, f"no answer to {operation} within {seconds:g} s: killed") from error
        except (ProtocolError, ChildEndedError) as error:
            raise self._died(child, stage) from error
        except BaseException:
            self._end(child, stage, "interrupted")  # half a reply may be left in the pipe
            raise
        replies.raise_error(reply.body, stage, self._guard.memory_bytes)
        return reply

    def _died(self, child: Child, stage: str) -> StageError:
        status, log, limit = child.wait(5.0), child.log(replies.LOG_BYTES), self._guard.memory_bytes
        cause = status_in_words(status, log)
        if limit is not None and lacked_memory(log):
            cause += f"; {replies.over_limit(limit)}"
        return self._end(child, stage, cause, outside=self._from_outside(status, log))

    def _from_outside(self, status: int | None, log: str) -> bool:
        limited = self._guard.memory_bytes is not None
        return died_from_outside(status, log, remote=not self._launch.shares_files, limited=limited)

    def _end(self, child: Child, stage: str, cause: str, *, outside: bool = False) -> StageError:
        child.kill()
        self._child = None
        self._ended = StageError(stage, cause, child.log(replies.LOG_BYTES), outside=outside)
        return self._ended


def _skip_to_preamble(child: Child, deadline: float) -> None:
    """Read past what a login shell prints before the runner's first frame."""
    seen = bytearray()
    while not seen.endswith(PREAMBLE):
        if len(seen) > 2**16:
            raise ProtocolError(f"no runner answers, but: {bytes(seen[:200])!r}")
        byte = child.reader(max(0.0, deadline - time.monotonic()))(1)
        if not byte:
            raise ProtocolError("the runner ended before it said anything")
        seen += byte


def _parts(data: CalibrationData, batch: int) -> Iterator[dict[str, Array]]:
    """Samples in parts of a size that is quick to send; whole batches, so that only the last is filled up."""
    rows = len(next(iter(data.values())))
    if rows == 0:
        raise ValueError("there are no samples to infer")
    row_bytes = max(1, sum(array.nbytes for array in data.values()) // max(1, rows))
    step = max(1, _SENT_AT_ONCE_BYTES // (row_bytes * batch)) * batch
    for start in range(0, rows, step):
        yield {name: array[start : start + step] for name, array in data.items()}
