"""Every run of a job, and the harness's view of it: kept where they end, and made once."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from paretune.profiles.errors import UserError

from benchmarks.command import tell, write_figures

from .courses import Course, ever_on_front
from .jobs import Setup, digest_of
from .running import end_all, last_words, on_core
from .scoring import Candidate, Point, Scored, score
from .tools import TOOLS, Result, Run


@dataclass(frozen=True, kw_only=True)
class Bench:
    """All runs of one job: what they start from, for how long, where they are kept, and on which cores."""

    setup: Setup
    seconds: float
    runs: Path
    cores: Sequence[int | None]

    def results(self, tools: Sequence[str], seed: int) -> dict[str, Result]:
        """Every tool once, in a new order in every repeat; as many at a time as there are cores."""
        width, found = len(self.cores), {}
        # Of tools that run together the pairs stay, and their cores are swapped.
        shift = 0 if width > 1 else seed % len(tools)
        order = [*tools[shift:], *tools[:shift]]
        for start in range(0, len(order), width):
            found |= self._together(order[start : start + width], seed)
        return {tool: found[tool] for tool in tools}

    def _together(self, tools: Sequence[str], seed: int) -> dict[str, Result]:
        cores = {tool: self.cores[(place + seed) % len(self.cores)] for place, tool in enumerate(tools)}
        with ThreadPoolExecutor(len(tools)) as pool:
            jobs = {tool: pool.submit(self._result, tool, seed, core) for tool, core in cores.items()}
            try:
                return {tool: job.result() for tool, job in jobs.items()}
            except BaseException:
                end_all()  # Ctrl-C reaches this thread alone
                raise

    def _result(self, tool: str, seed: int, core: int | None) -> Result:
        """What a run gave; from before where it is kept."""
        folder = self.runs / f"{tool}-{seed}"
        kept, asked = folder / "result.json", self._asked(core)
        found = json.loads(kept.read_text()) if kept.is_file() else {}
        if found.pop("asked", None) == asked:
            tell(f"{tool}, repeat {seed}: kept from before")
            return read_result(found)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run = Run(setup=self.setup, folder=folder, seconds=self.seconds, seed=seed, title=f"{tool}-{seed}")
        with on_core(core):
            try:
                result = TOOLS[tool](run)
            except Exception as error:  # a tool that does not run is a result too
                said = last_words(folder / "output.log")
                result = Result(failures=[f"{type(error).__name__}: {error}\n{said}"])
        written = asdict(result)
        for one in written["candidates"]:
            one["file"] = str(one["file"])
        write_figures(kept, {**written, "asked": asked})
        return result

    def _asked(self, core: int | None) -> list[Any]:
        return [digest_of(self.setup.study), self.seconds, core is not None]

    def courses(self, results: Mapping[str, Result], seed: int) -> dict[str, tuple[Course, Scored]]:
        """All tools of a repeat, scored by the harness; from before where that is kept."""
        kept = self.runs / f"scores-{seed}.json"
        found = json.loads(kept.read_text()) if kept.is_file() else {}
        asked = digest_of({tool: asdict(result) for tool, result in results.items()})
        if found.pop("asked", None) != asked:
            found = {tool: asdict(self._scored(tool, result, seed)) for tool, result in results.items()}
            write_figures(kept, {**found, "asked": asked})
        courses = {}
        for tool, result in results.items():
            scored = read_scored(found[tool])
            courses[tool] = Course(self.setup.box, result.candidates, scored.points), scored
        return courses

    def _scored(self, tool: str, result: Result, seed: int) -> Scored:
        places = ever_on_front(result.candidates)
        tell(f"{tool}, repeat {seed}: measuring {len(places)} artifacts")
        found = score([result.candidates[p] for p in places], self.setup.box, self.setup.test, seed)
        points = {places[number]: point for number, point in found.points.items()}
        failures = {places[number]: text for number, text in found.failures.items()}
        return Scored(points=points, failures=failures, teacher_ms=found.teacher_ms)


def read_result(found: Mapping[str, Any]) -> Result:
    candidates = [Candidate(**{**one, "file": Path(one["file"])}) for one in found["candidates"]]
    return Result(**{**found, "candidates": candidates})


def read_scored(found: Mapping[str, Any]) -> Scored:
    points = {int(p): Point(**{**one, "wrong": tuple(one["wrong"])}) for p, one in found["points"].items()}
    failures = {int(place): text for place, text in found["failures"].items()}
    return Scored(points=points, failures=failures, teacher_ms=found["teacher_ms"])


def cores_of(*, side_by_side: bool) -> list[int | None]:
    """Two of this machine's cores, or none in particular."""
    if not side_by_side:
        return [None]
    there = sorted(os.sched_getaffinity(0))
    if len(there) < 2:
        raise UserError(
            "two tools cannot run side by side", found="one core", remedy="leave --side-by-side out"
        )
    return list(there[:2])
