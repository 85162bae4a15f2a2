"""A loaded artifact, as the harness runs it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .options import USUAL, Options
from .placement import ModelPlacement
from .values import TensorSpec

Array = NDArray[Any]
Feed = Mapping[str, Array]


class Session(ABC):
    """A loaded artifact. `run` returns when the device is done. A context manager; close is idempotent.

    `simulated_ns` is the duration of one run where there is no device but a simulated one; the harness uses
    it in place of the clock. None everywhere else. `taken` are values of options that the runtime tells that
    it has taken, by the option's name; those that it does not tell are left out.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    simulated_ns: int | None = None
    taken: Options = USUAL

    def run(self, feed: Feed) -> dict[str, Array]:
        """Run once on arrays that match `inputs` exactly (names, dtypes, shapes).

        Raises:
            ValueError: the feed does not match `inputs`.
        """
        self.check(feed)
        return self._run(feed)

    def check(self, feed: Feed) -> None:
        """Raise ValueError where the feed does not match `inputs`."""
        wanted = {spec.name: spec for spec in self.inputs}
        if set(feed) != set(wanted):
            raise ValueError(f"feed has inputs {sorted(feed)}, the model wants {sorted(wanted)}")
        for name, spec in wanted.items():
            array = feed[name]
            if array.shape != spec.shape or array.dtype != np.dtype(spec.dtype):
                raise ValueError(
                    f"input {name!r} is {array.dtype}{list(array.shape)}, "
                    f"the model wants {spec.dtype}{list(spec.shape)}"
                )

    @abstractmethod
    def _run(self, feed: Feed) -> dict[str, Array]:
        """Run on a feed that was checked. The harness calls this directly inside the timed loop."""

    def placement(self, feed: Feed) -> ModelPlacement | None:
        """Which kernel or delegate runs each node. Where asking slows a session down, the same file is opened
        once more alike, and run a few times on `feed`. None: the runtime cannot tell.
        """
        return None

    @abstractmethod
    def close(self) -> None:
        """Free everything that the session holds; a second call does nothing."""

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
