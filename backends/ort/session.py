"""An artifact in ONNX Runtime, which tells where its nodes run."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from ..contract.backend import Feed
from ..contract.options import USUAL, Options
from ..contract.placement import ModelPlacement
from ..onnx_graph.session import OrtSession
from ..onnx_graph.written import read_graph
from .options import taken, telling
from .placement import RUNS, means_low, read_placement


class PlacedOrtSession(OrtSession):
    """A session on the file of an artifact."""

    def __init__(self, artifact: Path, threads: int, options: Options = USUAL) -> None:
        told = telling(options, threads)
        super().__init__(str(artifact), threads, told=told)
        self.taken = taken(self.said)
        self._artifact = artifact
        self._profiled = partial(OrtSession, str(artifact), threads, told=told)

    def placement(self, feed: Feed) -> ModelPlacement | None:
        with TemporaryDirectory(prefix="paretune-profile-") as folder:
            low = means_low(read_graph(self._artifact), {spec.dtype for spec in self.inputs})
            profiled = self._profiled(profile=Path(folder), keep_graph=low)
            with profiled:
                for _ in range(RUNS):
                    profiled.run(feed)
                provider = profiled.provider
                times, optimized = profiled.end_profiling()
            return read_placement(times, optimized, provider)
