"""An artifact in ONNX Runtime, which tells where its nodes run."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ..contract.backend import Feed
from ..contract.placement import ModelPlacement
from ..onnx_graph.session import OrtSession
from .placement import RUNS, read_placement


class PlacedOrtSession(OrtSession):
    """A session on the file of an artifact."""

    def __init__(self, artifact: Path, threads: int) -> None:
        super().__init__(str(artifact), threads)
        self._opened = (str(artifact), threads)

    def placement(self, feed: Feed) -> ModelPlacement | None:
        with TemporaryDirectory(prefix="paretune-profile-") as folder:
            profiled = OrtSession(*self._opened, profile=Path(folder))
            with profiled:
                for _ in range(RUNS):
                    profiled.run(feed)
                provider = profiled.provider
                times, optimized = profiled.end_profiling()
            return read_placement(times, optimized, provider)
