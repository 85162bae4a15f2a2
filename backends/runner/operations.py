"""What a runner does when it is asked, one method per operation, and what it says where that fails.

A backend of others' may raise, return and print anything: the answer is an error, and the runner lives on.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from ...profiles.errors import StageError, UnsupportedError, UserError
from ...profiles.guard.user_code import UserCodeError, said_by
from ...profiles.guard.user_place import place_of_error
from ...profiles.precision import Precision
from ..contract.backend import (
    Array,
    CompileSettings,
    Session,
    SourceModel,
    TensorSpec,
    all_outputs,
    batches,
)
from ..contract.options import check_taken
from ..contract.tuning import Tuning
from ..lease.lease import LeaseLostError, at_work
from ..measure.cores import hold_on
from ..measure.memory import Phases
from ..measure.timing import sample, timed
from ..registry import availability, get_backend, packages
from .boot import DIGEST
from .frames import Message
from .group import group_ends_with_us
from .launch import THREAD_VARIABLES
from .of_session import OF_SESSION, Loaded
from .others import OTHERS
from .own_files import NoRoomError, OwnFiles

_MOST_WORDS = 2**14


class Runner:
    """Answers requests, one method per operation; state is at most one open session and its feed."""

    def __init__(self, parent: str | None = None) -> None:
        self.files = OwnFiles(parent)
        self._all_cpus = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        self._session: Session | None = None
        self._feed: dict[str, Array] = {}
        self._batch = 1
        self._memory = Phases()

    def answer(self, message: Message) -> Message:
        """Reply to one request; an error inside it is a reply as well."""
        try:
            if (lease := message.body.get("lease")) is not None:
                with at_work(lease):
                    return self._done(message)
            return self._done(message)
        except LeaseLostError:
            return error_reply("lease")
        except NoRoomError as error:
            cause, folder, free = _cause(error.__cause__ or error), str(error.folder), error.free_bytes
            log = traceback.format_exc()
            return error_reply("room", cause=cause, log=log, folder=folder, free_bytes=free)
        except UnsupportedError as error:
            return error_reply("unsupported", reason=error.reason)
        except UserCodeError as error:  # their code failed: one evaluation does
            return error_reply("stage", cause=error.cause, log=f"{error}\n{error.log}")
        except UserError as error:
            parts = ("problem", "place", "found", "accepted", "remedy")
            return error_reply("user", **{name: getattr(error, name) for name in parts})
        except StageError as error:
            log = error.log or traceback.format_exc()
            return error_reply(
                "stage", stage=error.stage, cause=error.cause, log=log, disagrees=error.disagrees
            )
        except MemoryError as error:
            return error_reply("memory", cause=f"out of memory {error}".strip(), log=traceback.format_exc())
        except BaseException as error:  # a backend of others' may also want to exit
            return error_reply("error", cause=_cause(error), log=traceback.format_exc())

    def _done(self, message: Message) -> Message:
        asked = str(message.body["do"])
        if asked in OTHERS:
            return Message(body=dict(OTHERS[asked](message.body)))
        try:
            if asked in OF_SESSION:
                loaded = Loaded(session=self._opened(), feed=self._feed, batch=self._batch)
                return Message(body=dict(OF_SESSION[asked](loaded, message.body)))
            return getattr(self, "do_" + asked)(message)  # type: ignore[no-any-return]
        except (UnsupportedError, UserError):
            raise
        except Exception as error:
            self.files.check_room(error)
            raise

    def do_hello(self, _: Message) -> Message:
        """Who answers: process id, environment, the top-level modules it has loaded, and the digest of itself
        that a setup left."""
        from ..measure.environment import environment

        modules = sorted({name.partition(".")[0] for name in sys.modules})
        body = {"pid": os.getpid(), "environment": environment(packages()), "modules": modules}
        return Message(body={**body, "prepared": os.environ.get(DIGEST, "")})

    def do_available(self, message: Message) -> Message:
        """Whether the runtime of a backend can be used here."""
        return Message(body=asdict(availability(str(message.body["backend"]))))

    def do_put(self, message: Message) -> Message:
        """Write bytes to a file of this runner's own directory, or in a folder that it has made there; those
        at an offset follow what was written to its path before."""
        body = message.body
        offset = int(body.get("offset", 0))
        path = Path(str(body["path"])) if offset else self._folder(body) / Path(str(body["name"])).name
        with path.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            file.write(message.arrays["bytes"].data)
        return Message(body={"path": str(path)})

    def do_fetch(self, message: Message) -> Message:
        """So many bytes of a file from an offset on; fewer at its end."""
        path, count = str(message.body["path"]), int(message.body["bytes"])
        data = np.fromfile(path, dtype=np.uint8, count=count, offset=int(message.body["offset"]))
        return Message(arrays={"bytes": data})

    def do_compile(self, message: Message) -> Message:
        """Compile a model that lies on this machine; the artifact's file stays here."""
        artifact = get_backend(message.body["backend"]).compile(*self._asked(message))
        return Message(
            body={**asdict(artifact), "path": str(artifact.path), "precision": str(artifact.precision)}
        )

    def do_make(self, message: Message) -> Message:
        """Make what several backends compile from; the file stays here."""
        return Message(body={"path": str(get_backend(message.body["backend"]).make(*self._asked(message)))})

    def _asked(self, message: Message) -> tuple[SourceModel, CompileSettings, dict[str, Array] | None, Path]:
        """What `compile` and `make` of a backend take."""
        body = message.body
        model = SourceModel(
            path=Path(body["path"]),
            format=body["format"],
            made=Path(body["made"]) if body.get("made") else None,
            tuned=Path(body["tuned"]) if body.get("tuned") else None,
        )
        data = dict(message.arrays) if body["calibrated"] else None
        return model, _settings(body), data, self._folder(body)

    def do_float(self, message: Message) -> Message:
        """Outputs of the float model that the backend compares its artifacts with, where that runs here."""
        model, settings, data, _ = self._asked(message)
        session = get_backend(message.body["backend"]).float_session(model, settings)
        if session is None or data is None:
            return Message(body={"runs": False})
        with session:
            return Message(body={"runs": True}, arrays=all_outputs(session, data, settings.batch))

    def do_tune(self, message: Message) -> Message:
        """Search schedules for a model that lies on this machine; what is found stays here."""
        tuning = Tuning(**message.body["tuning"])
        known = tuple(Path(folder) for folder in message.body["known"])
        model, settings, _, into = self._asked(message)
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(tuning.threads)))
        with group_ends_with_us():
            facts = get_backend(message.body["backend"]).tune(model, settings, tuning, known, into)
        files = [str(path) for path in sorted(into.iterdir()) if path.is_file()]
        return Message(body={"facts": dict(facts), "files": files})

    def do_open(self, message: Message) -> Message:
        """Load an artifact; the time counts from here to a session that is ready to run."""
        body = message.body
        self.close()
        cores = self._restrict(int(body["threads"]), body.get("pinned"))
        backend = get_backend(body["backend"])
        self._memory.begin()
        self._batch = int(body["batch"])
        options = {str(name): str(value) for name, value in dict(body.get("options") or {}).items()}
        how = (Path(body["path"]), self._batch, int(body["threads"]), *((options,) if options else ()))
        session, load_ms = timed(lambda: backend.open(*how))
        self._session = session
        self._memory.loaded()
        try:
            check_taken(options, session.taken)
        except UnsupportedError:
            self.close()
            raise
        inputs, outputs = _described(session.inputs), _described(session.outputs)
        return Message(body={"load_ms": load_ms, "inputs": inputs, "outputs": outputs, "cores": cores})

    def _restrict(self, threads: int, pinned: Any) -> tuple[int, ...]:
        """Held on cores of its own choice, or on those that are named, or on none in particular."""
        # Runtimes start their threads when they are loaded and opened: both settings must come before that.
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
        wanted = tuple(map(int, pinned)) if isinstance(pinned, list) else ()
        return (
            hold_on(threads if pinned else len(self._all_cpus), self._all_cpus, wanted)
            if self._all_cpus
            else ()
        )

    def do_prepare(self, message: Message) -> Message:
        """Keep a feed for `sample`, and run it once."""
        session = self._opened()
        self._feed = dict(message.arrays)
        session.check(self._feed)
        _, first_ms = timed(lambda: session._run(self._feed))
        self._memory.first_run()
        return Message(body={"first_inference_ms": first_ms})

    def do_infer(self, message: Message) -> Message:
        """Outputs for any number of samples, in batches of the opened size. What was added to fill the last
        batch is cut off where each batch gave as many rows as it had; other outputs come as they are."""
        session, rows = self._opened(), len(next(iter(message.arrays.values())))
        parts = [session.run(feed) for feed in batches(message.arrays, self._batch)]
        for part in parts:
            if not isinstance(part, dict) or part.keys() != parts[0].keys():
                raise TypeError("`run` of the session has to give arrays by name, the same names each time")
        outputs = {}
        for name in parts[0]:
            arrays = [np.atleast_1d(part[name]) for part in parts]
            filled = all(len(array) == self._batch for array in arrays)
            outputs[name] = np.concatenate(arrays)[: rows if filled else None]
        return Message(arrays=outputs)

    def do_sample(self, message: Message) -> Message:
        """Nanoseconds of `count` samples of `loops` runs."""
        session = self._opened()
        if not self._feed:
            raise ValueError("sample comes after prepare")
        loops, count = int(message.body["loops"]), int(message.body["count"])
        return Message(body={"nanoseconds": sample(session, self._feed, loops, count)})

    def do_memory(self, _: Message) -> Message:
        """What runtime and model cost in memory, see `Phases.told`."""
        return Message(body=dict(self._memory.told()))

    def _opened(self) -> Session:
        if self._session is None:
            raise ValueError("nothing is open")
        return self._session

    def _folder(self, body: Mapping[str, Any]) -> Path:
        """The folder that a request names, else one of this runner's own."""
        return Path(body["into"]) if body.get("into") else self.files.folder()

    def close(self) -> None:
        """Close the open session, if there is one."""
        session, self._session, self._feed = self._session, None, {}
        if session is not None:
            session.close()


def _settings(body: Mapping[str, Any]) -> CompileSettings:
    """JSON has neither enumerations nor tuples."""
    found = dict(body["settings"])
    precision, kept = Precision(found["precision"]), tuple(found.get("keep_float", ()))
    return CompileSettings(**{**found, "precision": precision, "keep_float": kept})


def _described(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
    return [asdict(spec) for spec in specs]


def _cause(error: BaseException) -> str:
    """What was raised, and where in the files of others."""
    place = place_of_error(error)
    return said_by(error) + (f" ({place})" if place else "")


def error_reply(kind: str, **parts: str | int) -> Message:
    """The answer that something went wrong; `replies.raise_error` reads it."""
    said = {name: part if isinstance(part, int) else str(part)[-_MOST_WORDS:] for name, part in parts.items()}
    return Message(body={"error": kind, **said})
