"""What is compared of one model: every backend at every precision, compiled and loaded, or why it is not.

All of it happens in the product's own runner processes, as in a study.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from paretune.backends.contract.agreement import sqnr_db
from paretune.backends.contract.backend import Artifact, Backend, CompileSettings, SourceModel
from paretune.backends.registry import availability, get_backend, offers
from paretune.backends.runner.client import Guard, RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.devices.schema import Profile
from paretune.profiles.errors import ParetuneError, StageError, UnsupportedError, UserError
from paretune.profiles.packages import versions
from paretune.profiles.precision import Precision
from paretune.search.stages.models.export import export

from benchmarks.backends.models import Subject
from benchmarks.backends.tunings import Tunings
from benchmarks.command import tell

LOADS = 3
"""Processes that load an artifact: its load time and memory are their medians, and the first is measured."""
GUARD = Guard(compile_s=900.0)
MOST_DB = 200.0  # of an output that is equal bit by bit


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A backend at a precision."""

    backend: str
    precision: Precision

    @property
    def title(self) -> str:
        return f"{self.backend} {self.precision}"


TUNED = "tuned"
REFERENCE = Pair(backend="ort", precision=Precision.FP32)
Refusal = dict[str, str]


def offered(backends: Sequence[str], profile: Profile) -> tuple[list[Pair], list[Refusal]]:
    """Pairs that exist on the device, and of all others the reason why they do not."""
    pairs, refused = [], []
    for name in backends:
        here = availability(name)
        if not here.installed:
            reason = f"{here.reason} ({here.install})" if here.install else here.reason
            refused.append({"backend": name, "what": "all", "reason": reason})
            continue
        for offer in offers(name, profile):
            if not offer.offered:
                refused.append({"backend": name, "what": offer.what, "reason": offer.reason})
            elif offer.what in set(map(str, Precision)):
                pairs.append(Pair(backend=name, precision=Precision(offer.what)))
    return pairs, refused


def runtimes(backends: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Title, version and installed bytes (with what it brings, but not what it asks for) of each that is
    here."""
    found = {}
    for backend in filter(lambda one: one.availability().installed, map(get_backend, backends)):
        files = [file for name in versions(backend.packages) for file in metadata.files(name) or ()]
        sizes = [path.stat().st_size for file in files if (path := Path(str(file.locate()))).is_file()]
        version = backend.availability().version
        found[backend.name] = {"title": backend.title, "version": version, "installed_bytes": sum(sizes)}
    return found


@dataclass(kw_only=True)
class Row:
    """One line of the comparison: "measured" with its figures, or "refused" or "failed" with the reason.

    `variant` tells artifacts of one pair apart: "" as it is compiled by default, "tuned" where schedules
    were searched for this model.
    """

    pair: Pair
    variant: str = ""
    outcome: str = "measured"
    reason: str = ""
    figures: dict[str, Any] = field(default_factory=dict)
    artifact: Artifact | None = None
    process: RunnerClient | None = None

    @property
    def title(self) -> str:
        return f"{self.pair.title} {self.variant}".strip()

    def gives_up(self, error: ParetuneError) -> None:
        """It has no figures of its own, for this reason."""
        self.outcome = "refused" if isinstance(error, UnsupportedError) else "failed"
        self.reason, self.figures, self.process = str(error), {}, None

    def to_json(self) -> dict[str, Any]:
        named = {"backend": self.pair.backend, "precision": str(self.pair.precision), "variant": self.variant}
        return {**named, "outcome": self.outcome, "reason": self.reason, **self.figures}


class Workshop:
    """Makes artifacts of one model, and opens them. A context manager: all its processes end with it."""

    def __init__(self, model: Subject, profile: Profile, tunings: Tunings | None = None) -> None:
        self.model, self._profile, self._tunings, self._stack = model, profile, tunings, ExitStack()
        self._sources: dict[str, SourceModel | ParetuneError] = {}
        self._compilers: dict[str, RunnerClient] = {}

    def __enter__(self) -> Workshop:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="backends-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def feed(self) -> dict[str, Any]:
        """One sample, which is what is measured."""
        return {name: np.ascontiguousarray(array[:1]) for name, array in self.model.samples.items()}

    def rows(self, pairs: Sequence[Pair]) -> Iterator[Row]:
        """A row for each pair, compiled and loaded where that is possible, and a further one where the
        backend can be tuned and is."""
        tunable = {pair for pair in pairs if self._tunings and get_backend(pair.backend).tunable}
        variants = [(pair, name) for pair in pairs for name in (("", TUNED) if pair in tunable else ("",))]
        for pair, variant in variants:
            row, begun = Row(pair=pair, variant=variant), time.perf_counter()
            try:
                self._compile(row)
                self._load(row)
            except (UnsupportedError, StageError, UserError) as error:
                row.gives_up(error)
            took = time.perf_counter() - begun
            told = f"{row.outcome}: {row.reason[:80]}" if row.reason else "ready"
            tell(f"  {row.title}: {told} after {took:.1f} s")
            yield row

    def opened(self, artifact: Artifact) -> tuple[RunnerClient, float, float]:
        """A process that holds it, and the milliseconds of loading and of the first run."""
        runner = self._stack.enter_context(RunnerClient(LocalLaunch(), guard=GUARD, pinned=True))
        load_ms = runner.open(artifact.backend, artifact.path, 1, 1).load_ms
        return runner, load_ms, runner.prepare(self.feed)

    def _compile(self, row: Row) -> None:
        name, backend = row.pair.backend, get_backend(row.pair.backend)
        settings = CompileSettings(
            precision=row.pair.precision,
            calibration_method=backend.calibration_methods[0],
            target=backend.target(self._profile),
        )
        source, compiler = self._source(backend), self._compiler(name)
        if row.variant == TUNED:
            assert self._tunings is not None
            source, row.figures["tuning"] = self._tunings.tuned(compiler, name, source, settings)
        begun, data = time.perf_counter(), self.model.calibration
        row.artifact = made = compiler.compile(name, source, settings, data, self._new_folder())
        row.figures.update(
            size_bytes=made.size_bytes,
            compile_s=time.perf_counter() - begun,
            weight_bytes=dict(made.weight_bytes),
            notes=list(made.notes),
            versions=dict(made.versions),
        )

    def _load(self, row: Row) -> None:
        assert row.artifact is not None
        row.process, *first = self.opened(row.artifact)
        memory, times = [row.process.memory()], [first]
        for _ in range(LOADS - 1):
            runner, *more = self.opened(row.artifact)
            memory.append(runner.memory())
            times.append(more)
            runner.close()
        load_ms, first_ms = (median(each) for each in zip(*times, strict=True))
        row.figures.update(memory_bytes=median(memory), load_ms=load_ms, first_inference_ms=first_ms)
        row.figures.update(self._agreement(row.process))

    def _agreement(self, process: RunnerClient) -> dict[str, float]:
        wanted, got = self.model.wanted, next(iter(process.infer(self.model.samples).values()))
        if got.shape != wanted.shape or not np.isfinite(got).all():
            raise StageError(
                "score", f"it gives {list(got.shape)} numbers for {list(wanted.shape)}, or no finite ones"
            )
        same = (wanted.argmax(1) == got.argmax(1)).mean()
        return {"sqnr_db": min(MOST_DB, sqnr_db(wanted, got)), "same_decisions": float(same)}

    def _source(self, backend: Backend) -> SourceModel:
        """The model in the backend's format, exported once for all that read it."""
        form = backend.source_format
        if form not in self._sources:
            try:
                self._sources[form] = export(
                    self.model.module, self.model.calibration, backend, 1, self._new_folder()
                )
            except (UnsupportedError, StageError) as error:
                self._sources[form] = error
        found = self._sources[form]
        if isinstance(found, ParetuneError):
            raise found
        return found

    def _compiler(self, backend: str) -> RunnerClient:
        if backend not in self._compilers or self._compilers[backend].ended:
            runner = RunnerClient(LocalLaunch(), guard=GUARD)
            self._compilers[backend] = self._stack.enter_context(runner)
        return self._compilers[backend]

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self._folder))
