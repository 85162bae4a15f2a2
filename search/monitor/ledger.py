"""Counts what calls left, and writes it now and then; one thread at a time.

This file travels in every bundle: numpy and the standard library, Python 3.9.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .log_file import LogFile, packed, unpacked
from .series import MOST_ROWS, Bins, TensorSeries
from .tally import Tally

MOST_KEPT_BYTES = 4 << 20  # of answers that wait for their label
MOST_KEPT = 20_000
MOST_WINDOWS = 48


class Inference:
    """What is kept of one inference until it is counted: what was taken of each tensor (None: it did not
    fit), whether that is all of them (else it is what labels are held against, or nothing at all), its
    samples, its time, and the names of its samples."""

    __slots__ = ("looked", "names", "rows", "seconds", "taken")

    def __init__(self, taken: list[Any] | None, looked: bool, rows: int, seconds: float, names: Any) -> None:
        self.taken, self.looked, self.rows, self.seconds, self.names = taken, looked, rows, seconds, names


class Ledger:
    """The windows of one process, the last of them open."""

    def __init__(
        self, plan: Mapping[str, Any], about: Mapping[str, Any], log: str, window_seconds: float
    ) -> None:
        self._about, self._log, self._window_seconds = about, log, window_seconds
        self.tensors = [TensorSeries(one) for one in plan["tensors"]]
        self._bins, self._batch = Bins(plan["series"]), int(plan["batch"])
        ends = np.cumsum([0, *(len(one.series) for one in self.tensors)]).tolist()
        self._columns = [slice(*ends[at : at + 2]) for at in range(len(self.tensors))]
        self._before: list[Any] = [None] * len(self.tensors)
        self._judged = next((at for at, one in enumerate(self.tensors) if one.judge), None)
        self._last_time: float | None = None
        self._kept: dict[Any, Any] = {}
        self._kept_bytes = 0
        self._file: LogFile | None = None
        self._earlier: list[bytes] = []
        self._begin(self._empty())

    def _empty(self) -> Tally:
        return Tally(self._bins.size, len(self._before) and self._columns[-1].stop)

    def _begin(self, tally: Tally) -> None:
        self.tally, self._since = tally, time.monotonic()

    # -- count --------------------------------------------------------------------------------------

    def count(self, items: Sequence[Any]) -> None:
        """Calls and labels, in the order in which they came."""
        if time.monotonic() - self._since >= self._window_seconds:
            self._end_window()
        calls = [item for item in items if isinstance(item, Inference)]
        looked = [call for call in calls if call.looked and call.taken is not None]
        for at in range(len(self.tensors)):
            self._count_tensor(at, [call.taken[at] for call in looked if call.taken is not None])
            time.sleep(0)  # inferences come first
        self.tally.numbers.update({"looks": len(looked), "looked at": sum(call.rows for call in looked)})
        self._count_times(calls)
        decided = self._decided(calls)
        for item in items:
            try:
                if not isinstance(item, Inference):
                    self._count_label(*item)
                elif id(item) in decided:
                    self._keep(item, decided[id(item)])
            except Exception:  # a name that no dictionary takes, a target that is nothing
                self.tally.numbers["odd names or labels"] += 1
        self.tally.ended = max(self.tally.ended, time.time())

    def _decided(self, calls: Sequence[Inference]) -> dict[int, Any]:
        """What the samples of those calls were answered that have names."""
        if self._judged is None:
            return {}
        at, tensor = self._judged, self.tensors[self._judged]
        named = [
            (id(call), call.taken[at])
            for call in calls
            if call.names is not None and call.taken is not None and call.taken[at] is not None
        ]
        if not named:
            return {}
        rows = tensor.decided(np.concatenate([taken for _, taken in named]))
        ends = np.cumsum([len(taken) for _, taken in named]).tolist()
        return {
            key: rows[end - len(taken) : end]
            for (key, taken), end in zip(named, ends)  # noqa: B905
        }

    def _count_tensor(self, at: int, taken: Sequence[Any]) -> None:
        tensor, columns = self.tensors[at], self._columns[at]
        there = [one for one in taken if one is not None]
        self.tally.numbers["unfit " + tensor.name] += len(taken) - len(there)
        if not there:
            return
        joined = [np.concatenate(there)] if tensor.fixed else there
        values = np.concatenate([tensor.values(one) for one in joined])
        counts, sums, self._before[at] = self._bins.counted(values, columns, self._before[at])
        self.tally.counts += counts
        self.tally.sums[columns] += sums

    def _count_times(self, calls: Sequence[Inference]) -> None:
        rows = np.array([call.rows for call in calls], dtype=np.int64)
        seconds = np.array([call.seconds for call in calls], dtype=np.float64)
        self.tally.numbers.update(calls=len(calls), samples=int(rows.sum()))
        self._last_time = self.tally.timed(seconds, rows == self._batch, self._last_time)

    def _keep(self, call: Inference, decided: Any) -> None:
        single = isinstance(call.names, (int, str, bytes)) or not hasattr(call.names, "__len__")
        names = [call.names] if single else list(call.names)
        if len(names) != call.rows:
            self.tally.numbers["unnamed"] += call.rows
            return
        step = -(-call.rows // MOST_ROWS)
        for name, row in zip(names[::step], decided):  # noqa: B905
            earlier = self._kept.pop(name, None)
            self._kept_bytes += row.nbytes + 200 - (0 if earlier is None else earlier.nbytes + 200)
            self._kept[name] = row.copy()
        while len(self._kept) > MOST_KEPT or self._kept_bytes > MOST_KEPT_BYTES:
            self._kept_bytes -= self._kept.pop(next(iter(self._kept))).nbytes + 200

    def _count_label(self, name: Any, target: Any, prediction: Any) -> None:
        answer = self._kept.pop(name, None) if prediction is None else prediction
        if answer is None or self._judged is None:
            self.tally.numbers["labels without answer"] += 1
            return
        if prediction is None:
            self._kept_bytes -= answer.nbytes + 200
        found = self.tensors[self._judged].scored(answer, target)
        if found is None:
            self.tally.numbers["unfit labels"] += 1
        else:
            self.tally.judged(*found)

    # -- write --------------------------------------------------------------------------------------

    def write(self) -> None:
        """Write all windows. OSError where that cannot be done; the next time it is tried again."""
        if self._file is None:
            self._file = LogFile(self._log, self._about)
            self._earlier = [*self._file.blocks, *self._earlier]
            self._go_on()
        while not self._file.write([*self._earlier, packed(self.tally.plain())]) and len(self._earlier) > 1:
            self._merge_earlier()

    def _go_on(self) -> None:
        """Continue the window of a process that ended a moment ago."""
        last = self._read(self._earlier[-1]) if self._earlier else None
        if last is not None and 0 <= self.tally.began - last.began < self._window_seconds:
            self._earlier.pop()
            self.tally.add(last)

    def _read(self, block: bytes) -> Tally | None:
        try:
            return Tally.of(unpacked(block), self.tally.counts.size, len(self.tally.sums))
        except ValueError:
            return None

    def _end_window(self) -> None:
        if self.tally.numbers["calls"] or self.tally.quality[0]:
            self._earlier.append(packed(self.tally.plain()))
        if len(self._earlier) > MOST_WINDOWS:
            self._merge_earlier()
        self._begin(self._empty())

    def _merge_earlier(self) -> None:
        """Two and two windows of the older half become one."""
        half = max(len(self._earlier) // 2, 2)
        known = [tally for tally in map(self._read, self._earlier[:half]) if tally is not None]
        for one, other in zip(known[::2], known[1::2]):  # noqa: B905
            one.add(other)
        self._earlier = [packed(one.plain()) for one in known[::2]] + self._earlier[half:]

    def close(self) -> None:
        """Let another process have the file."""
        if self._file is not None:
            self._file.close()
            self._file = None
