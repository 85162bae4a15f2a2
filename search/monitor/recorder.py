"""Records how a deployed model is used: latency, what it is asked, what it answers and, where labels come
later, how good that was.

    monitor = Monitor.beside(__file__, log="monitor.log")
    with monitor.inference(inputs) as seen:
        outputs = model.run(inputs)
        seen(outputs, id="request 17")
    monitor.label("request 17", 3)

Memory and the file are bounded. Nothing here raises into an inference or waits for a disk: a thread of its
own counts and writes. `paretune monitor check BUNDLE monitor.log` compares the log with what was exported.
Needs numpy and the standard library, Python 3.9.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import threading
import time
import warnings
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from .ledger import Inference, Ledger
from .log_file import here

PLAN = "monitor.json"
BLOCK, MOST_PENDING = 256, 1024  # calls
MOST_CREDIT_S = 1e-3  # of looks that were earned and not taken
PATIENCE_S = 2.0  # for a disk that hangs, when the process ends


class Monitor:
    """Records into `log` by the plan that stands in a bundle's monitor.json; writes every `flush_seconds`.
    `trouble` says in words why nothing is recorded or written; it is empty where all is well."""

    def __init__(
        self,
        plan: Mapping[str, Any] | None,
        log: str | os.PathLike[str],
        *,
        bundle: str = "",
        share: float = 0.005,
        flush_seconds: float = 30.0,
        window_seconds: float = 3600.0,
    ) -> None:
        """`share`: of the time that inferences take, so much at most goes into looking at their arrays. Where
        they come too fast for that, some are looked at, drawn at random; all are timed."""
        self.trouble = ""
        self._plan, self._log, self._bundle = plan, str(Path(log).absolute()), bundle
        self._share, self._flush_seconds, self._window_seconds = share, flush_seconds, window_seconds
        self._renew()
        weakly = weakref.ref(self)
        atexit.register(_told, weakly, "close")
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=lambda: _told(weakly, "_renew"))

    @classmethod
    def beside(
        cls, place: str | os.PathLike[str], log: str | os.PathLike[str] = "monitor.log", **options: float
    ) -> Monitor:
        """The monitor of the bundle in the folder `place`, or in that of the file `place`. Where it has no
        plan that can be read, that is warned of, and nothing is recorded."""
        beside = Path(place).absolute()
        path = (beside if beside.is_dir() else beside.parent) / PLAN
        plan, bundle, trouble = None, "", ""
        try:
            text = path.read_bytes()
            plan, bundle = dict(json.loads(text)), sha256(text).hexdigest()[:16]
        except (OSError, ValueError, TypeError) as error:
            trouble = f"{path} cannot be read: {error}"
        made = cls(plan, log, bundle=bundle, **options)
        if trouble:
            made._in_trouble(trouble)
        return made

    def _renew(self) -> None:
        """Begin, also in the child of a fork: with a file, a lock and a thread of its own."""
        earlier = getattr(self, "_ledger", None)
        if earlier is not None:
            earlier.close()
        self._pending: deque[Any] = deque()
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._thread: threading.Thread | None = None
        self._lost = self._broken = 0
        self._credit, self._due, self._usual = 0.0, 0.0, 3600.0
        self._ledger: Ledger | None = None
        self._sides: dict[str, list[Any]] = {"inputs": [], "outputs": []}
        if self._plan is None:
            return
        try:
            about = {"format": 1, "bundle": self._bundle, "batch": self._plan["batch"], **here()}
            self._ledger = Ledger(self._plan, about, self._log, self._window_seconds)
            for tensor in self._ledger.tensors:  # inputs come first
                self._sides[tensor.side].append(tensor)
        except Exception as error:
            self._in_trouble(f"{PLAN} is no plan that can be followed: {error!r}")

    def _in_trouble(self, why: str) -> None:
        known, self.trouble = self.trouble, why
        if why != known:
            with suppress(Exception):  # where warnings are errors
                warnings.warn(f"monitor: {why}", RuntimeWarning, stacklevel=4)

    # -- around an inference: short, without a wait, and never raising ------------------------------

    def inference(self, inputs: Any) -> TimedInference:
        """Time an inference: `with monitor.inference(inputs) as seen: outputs = ...; seen(outputs)`. The time
        ends where `seen` is called; its `id` names the sample (a sequence: the samples) for later labels."""
        return TimedInference(self, inputs)

    def record(self, inputs: Any, outputs: Any, seconds: float, id: Any = None) -> None:
        """Record an inference that was timed elsewhere."""
        began = time.perf_counter()
        taken = self._looked_at(inputs)
        self._add(inputs, taken, outputs, seconds, id)
        self._pay(seconds, time.perf_counter() - began, taken is not None)

    def label(self, id: Any, target: Any, prediction: Any = None) -> None:
        """What the answer to a sample should have been. Answers are kept for a while, a bounded number of
        them; for what was answered long ago, or by another process, give the answer as `prediction`."""
        self._queue((id, target, prediction))

    def _looked_at(self, inputs: Any) -> list[Any] | None:
        return self._taken("inputs", inputs) if self._credit >= self._due else None

    def _pay(self, seconds: Any, own: float, looked: bool) -> None:
        """A look has taken `own` seconds; inferences earn the next one."""
        if looked:
            own = min(own, MOST_CREDIT_S / 2)  # what else ran meanwhile is not ours
            self._credit -= own
            self._due = random.random() * own
        with suppress(Exception):
            if seconds > 0:  # what they take undisturbed counts: looks take longer on a busy device, too
                self._usual = seconds if seconds < self._usual else min(1.001 * self._usual, seconds)
                self._credit = min(self._credit + self._share * self._usual, MOST_CREDIT_S)

    def _taken(self, side: str, arrays: Any) -> list[Any]:
        found, tensors = [], self._sides[side]
        named = type(arrays) is dict or isinstance(arrays, Mapping)
        for place, tensor in enumerate(tensors):
            try:
                if named:
                    one = arrays[tensor.name]
                else:
                    listed = isinstance(arrays, (list, tuple)) and len(arrays) == len(tensors)
                    one = arrays[place] if listed else arrays
                found.append(tensor.taken(one))
            except Exception:  # what does not fit is counted
                found.append(None)
        return found

    def _add(self, inputs: Any, taken: list[Any] | None, outputs: Any, seconds: float, names: Any) -> None:
        if self._ledger is None:
            return
        try:
            looked = taken is not None
            if looked or names is not None:
                answers = self._taken("outputs", outputs)
                taken = [None] * len(self._sides["inputs"]) + answers if taken is None else taken + answers
            self._queue(Inference(taken, looked, _rows(inputs), float(seconds), names))
        except Exception:
            self._broken += 1

    def _queue(self, item: Any) -> None:
        if self._ledger is None:
            return
        if len(self._pending) >= MOST_PENDING:
            self._lost += 1
            return
        self._pending.append(item)
        if len(self._pending) >= BLOCK:
            self._wake.set()
        if self._thread is None:
            self._start()

    def _start(self) -> None:
        try:
            with self._lock:
                if self._thread is None:
                    thread = threading.Thread(target=_work, args=(weakref.ref(self), self._wake), daemon=True)
                    self._thread = thread
                    thread.start()
        except Exception as error:  # counted when the process ends, if by then there is room
            self._in_trouble(f"no thread can be started: {error!r}")

    # -- in a thread of its own ----------------------------------------------------------------------

    def flush(self) -> None:
        """Count and write what is there now."""
        self._settle(write=True, patience=-1)

    def close(self) -> None:
        """Count and write what is there, and let another process continue the file."""
        ledger = self._ledger
        if self._settle(write=True, patience=PATIENCE_S) and ledger is not None:
            ledger.close()
        self._ledger = None
        self._wake.set()

    def _settle(self, *, write: bool, patience: float) -> bool:
        ledger = self._ledger
        if ledger is None or not self._lock.acquire(timeout=patience):
            return False
        try:
            self._count(ledger)
            if write:
                ledger.write()
                self.trouble = ""
        except Exception as error:
            self._in_trouble(f"{self._log} cannot be written: {error}")
        finally:
            self._lock.release()
        return True

    def _count(self, ledger: Ledger) -> None:
        items = [self._pending.popleft() for _ in range(len(self._pending))]
        lost, self._lost = self._lost, 0
        broken, self._broken = self._broken, 0
        ledger.tally.numbers.update({"lost": lost, "without outputs": broken})
        try:
            ledger.count(items)
        except Exception:
            ledger.tally.numbers["lost"] += len(items)

    def _turn(self, written: float) -> float:
        """Do what is due; gives when it was last written, or a negative number at the end."""
        due = time.monotonic() - written >= self._flush_seconds
        self._settle(write=due, patience=-1)
        if self._ledger is None:
            return -1.0
        return time.monotonic() if due else written


class TimedInference:
    """One inference while it runs; called with its outputs."""

    __slots__ = ("_began", "_entered", "_inputs", "_monitor", "_taken", "_told")

    def __init__(self, monitor: Monitor, inputs: Any) -> None:
        self._monitor, self._inputs, self._told = monitor, inputs, False

    def __enter__(self) -> TimedInference:
        self._entered = time.perf_counter()
        self._taken = self._monitor._looked_at(self._inputs)
        self._began = time.perf_counter()
        return self

    def __call__(self, outputs: Any, id: Any = None) -> None:
        """The inference has ended, and gave these."""
        ended, self._told = time.perf_counter(), True
        seconds, monitor, taken = ended - self._began, self._monitor, self._taken
        monitor._add(self._inputs, taken, outputs, seconds, id)
        own = self._began - self._entered + time.perf_counter() - ended
        monitor._pay(seconds, own, taken is not None)

    def __exit__(self, *error: object) -> None:
        if not self._told:
            self._monitor._broken += 1


def _work(weakly: Callable[[], Monitor | None], wake: threading.Event) -> None:
    written = time.monotonic()
    while written >= 0:
        monitor = weakly()
        if monitor is None:
            return
        patience = min(monitor._flush_seconds, 1.0)
        written = monitor._turn(written)
        del monitor
        wake.wait(patience)
        wake.clear()


def _told(weakly: Callable[[], Monitor | None], what: str) -> None:
    monitor = weakly()
    if monitor is not None:
        getattr(monitor, what)()


def _rows(inputs: Any) -> int:
    one = inputs
    if isinstance(inputs, Mapping):
        one = next(iter(inputs.values()))
    elif isinstance(inputs, (list, tuple)) and inputs and hasattr(inputs[0], "shape"):
        one = inputs[0]
    return len(one)
