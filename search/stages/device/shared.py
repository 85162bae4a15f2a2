"""What several backends compile from: made once, by whichever of them asks first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ....backends.contract.backend import CompileSettings, SourceModel
from ....backends.registry import get_backend
from ....profiles.packages import versions
from ...store.store import Store
from ...workload.workload import Array
from .keys import make_key
from .runners import Runners


class SharedMakers:
    """Asks the store, then a runner."""

    def __init__(self, store: Store, runners: Runners, announce: Callable[[str], None]) -> None:
        self._store, self._runners, self._announce = store, runners, announce

    def with_made(
        self,
        backend: str,
        model: SourceModel,
        settings: CompileSettings,
        data: dict[str, Array],
        causes: tuple[str, tuple[str, int, int]],
    ) -> SourceModel:
        """The model with what the maker of this precision made of it; as it is, where the backend makes its
        artifacts itself. `causes` are the key of the source and what was drawn of the calibration data."""
        maker = get_backend(backend).maker(settings.precision)
        if maker is None:
            return model
        source, samples = causes
        key = make_key(maker.name, versions(maker.tools), settings, source, samples)

        def make(into: Path) -> Mapping[str, Any]:
            self._announce("quantize")
            return {"file": self._runners.make(backend, model, settings, data, into).name}

        entry = self._store.produce("make", key, {"maker": maker.name, "source": source}, make)
        return replace(model, made=entry.file(entry.meta["file"]))
