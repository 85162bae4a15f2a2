"""Which deployment options matter: six kinds of models in fp32 on every runtime that is installed.

Of each model and runtime all that the product would try is tried in the same way (threads, and what the
runtime can be told when it opens or compiles a model): alone, then together, each in one process. The best is
measured afresh beside the default in several new processes of each, and counts where the whole 95 % interval
of the ratio lies below 1. A batch of 8 is measured so as well, by the time that a sample takes.

    python -m benchmarks.options --out FILE.json [--models cnn,mlp] [--backends ort,tflite] [--rounds 25]
        [--processes 5]

What was finished stands in FILE.json: called again with the same file, the rest is done.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from paretune.backends.contract.backend import Artifact, CompileSettings, SourceModel
from paretune.backends.measure.latency import measure
from paretune.backends.measure.samples import LatencyPlan
from paretune.backends.measure.summary import compare
from paretune.backends.registry import (
    availability,
    backend_names,
    get_backend,
    offered_precisions,
    plugins,
    probes,
)
from paretune.backends.runner.client import RunnerClient
from paretune.backends.runner.launch import LocalLaunch
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.devices.schema import Profile
from paretune.profiles.errors import ParetuneError, StageError
from paretune.profiles.precision import Precision
from paretune.profiles.quantity import Quantity
from paretune.search.evaluation.options import per_sample
from paretune.search.job.deploy_axes import DeployAxes
from paretune.search.job.deploy_section import SEARCH, DeploySection
from paretune.search.record.options import Axis, changes
from paretune.search.record.setting import Setting
from paretune.search.stages.deployment.walk import OptionsWalk
from paretune.search.stages.models.export import export

from benchmarks.backends.artifacts import GUARD
from benchmarks.backends.models import MODELS, Subject, trained
from benchmarks.command import (
    Options,
    check_names,
    earlier_figures,
    finish,
    names,
    parser_of,
    tell,
    whole,
    write_figures,
)

DEFAULT, EIGHT = Setting(threads=1, batch=1), Setting(threads=1, batch=8)
BRIEF = 12
"""Rounds while options are searched."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """One model on one runtime. `plan` is how a winner is measured afresh."""

    subject: Subject
    backend: str
    profile: Profile
    plan: LatencyPlan
    folder: Path
    made: dict[tuple[int, Any], Artifact]

    def axes(self, beside: Setting) -> tuple[Axis, ...]:
        """Threads as far as there are any, and what the runtime can be told."""
        most = self.profile.cpu.threads if self.profile.cpu else 1
        deploy = DeploySection.model_validate({"threads": [*range(1, most + 1)], "options": SEARCH})
        return DeployAxes(deploy=deploy, profile=self.profile, most_threads=most).of(
            self.backend, Precision.FP32, beside
        )

    def artifact(self, setting: Setting) -> Artifact:
        """The model compiled for a setting, once."""
        key = (setting.batch, setting.compiled_with)
        if key not in self.made:
            backend = get_backend(self.backend)
            into = Path(tempfile.mkdtemp(dir=self.folder))
            source: SourceModel = export(
                self.subject.module, self.subject.calibration, backend, setting.batch, into
            )
            settings = CompileSettings(
                precision=Precision.FP32,
                batch=setting.batch,
                target=backend.target(self.profile),
                options=dict(setting.compiled_with),
            )
            with RunnerClient(LocalLaunch(), guard=GUARD) as runner:
                into = Path(tempfile.mkdtemp(dir=self.folder))
                self.made[key] = runner.compile(
                    self.backend, source, settings, self.subject.calibration, into
                )
        return self.made[key]

    @contextmanager
    def opened(self, settings: Sequence[Setting], processes: int) -> Iterator[tuple[Any, dict[Setting, str]]]:
        """So many processes by each setting, by its title, and why those that do not open do not."""
        found: dict[str, list[RunnerClient]] = {}
        failed: dict[Setting, str] = {}
        with ExitStack() as stack:
            for setting in settings:
                try:
                    found[setting.title] = [self._opened(setting, stack) for _ in range(processes)]
                except (ParetuneError, StageError) as error:
                    failed[setting] = str(error).splitlines()[0]
            yield found, failed

    def _opened(self, setting: Setting, stack: ExitStack) -> RunnerClient:
        artifact = self.artifact(setting)
        runner = stack.enter_context(RunnerClient(LocalLaunch(), guard=GUARD, pinned=True))
        runner.open(self.backend, artifact.path, setting.batch, setting.threads, dict(setting.options))
        runner.prepare({n: np.ascontiguousarray(a[: setting.batch]) for n, a in self.subject.samples.items()})
        return runner

    def raced(
        self, settings: Sequence[Setting], processes: int, rounds: int
    ) -> tuple[dict[Setting, Quantity], dict[Setting, str]]:
        """Time per sample of each over that of the default, in the same rounds."""
        with self.opened((DEFAULT, *settings), processes) as (runners, failed):
            if len(runners) < 2:
                return {}, failed
            found = measure(runners, None, replace(self.plan, rounds=rounds))
        if DEFAULT.title in found.failed:
            raise StageError(*found.failed[DEFAULT.title])
        ratios = {
            one: per_sample(compare(found, one.title, DEFAULT.title), one, DEFAULT)
            for one in settings
            if one.title in found.series
        }
        broken = {one: found.failed[one.title][1] for one in settings if one.title in found.failed}
        return ratios, failed | broken

    def afresh(self, setting: Setting) -> Quantity | None:
        """Its ratio in new processes of both."""
        ratios, _ = self.raced([setting], self.plan.processes, self.plan.rounds)
        return ratios.get(setting)


def searched(bench: Bench) -> dict[str, Any]:
    """What is found of one model on one runtime."""
    walk = OptionsWalk(DEFAULT, bench.axes)
    while wanted := walk.proposals():
        walk.learn(*bench.raced(wanted, 1, BRIEF))
    best = walk.best
    ratio = None if best == DEFAULT else bench.afresh(best)
    holds = ratio is not None and ratio.high is not None and ratio.high < 1
    batch = bench.afresh(EIGHT)
    return {
        "chosen": changes(best, DEFAULT) if holds else {},
        "gain": gain(ratio) if holds else None,
        "rejected": {} if holds or best == DEFAULT else {**changes(best, DEFAULT), "gain": gain(ratio)},
        "alone": {
            " ".join(map(str, next(iter(changes(one.setting, DEFAULT).items())))): gain(one.ratio_to_default)
            for one in walk.tried.values()
            if len(changes(one.setting, DEFAULT)) == 1 and one.ratio_to_default is not None
        },
        "broken": {one.setting.title: one.note for one in walk.tried.values() if one.note},
        "batch_8": gain(batch),
    }


def gain(ratio: Quantity | None) -> list[float] | None:
    """Samples in the same time, with its interval, of a ratio of times."""
    if ratio is None:
        return None
    low, high = ratio.ends
    return [1 / ratio.value, 1 / high, 1 / low]


def run(options: Options) -> dict[str, Any]:
    models = names(options.models)
    backends = names(options.backends) or [n for n in backend_names() if n not in plugins()]
    check_names("model", models, MODELS)
    check_names("backend", backends, backend_names())
    torch.set_num_threads(1)
    profile = load_profile("host", probes=probes())
    plan = LatencyPlan(rounds=options.rounds, processes=options.processes, warm_up_s=0.1, limit_s=60.0)
    found: dict[str, Any] = {"models": dict(earlier_figures(options.out).get("models", {}))}
    for name in models:
        subject: Subject | None = None
        for backend in backends:
            offered = offered_precisions(backend, profile) if availability(backend).installed else ()
            if backend in found["models"].get(name, {}) or Precision.FP32 not in offered:
                continue
            subject = subject or trained(name)
            tell(f"{name} on {backend}")
            with tempfile.TemporaryDirectory(prefix="options-") as folder:
                bench = Bench(
                    subject=subject, backend=backend, profile=profile, plan=plan, folder=Path(folder), made={}
                )
                try:
                    figures = searched(bench)
                except ParetuneError as error:
                    figures = {"failed": str(error).splitlines()[0]}
            found["models"].setdefault(name, {})[backend] = figures
            write_figures(options.out, found)
    return found


def page(found: Mapping[str, Any]) -> str:
    """The table, as Markdown."""
    lines = ["| model | runtime | run with | gain | batch 8 |", "|---|---|---|---|---|"]
    for model, of in found["models"].items():
        for backend, one in of.items():
            if "failed" in one:
                lines.append(f"| {model} | {backend} | {one['failed']} | | |")
                continue
            told = ", ".join(f"{name} {value}" for name, value in one["chosen"].items())
            lines.append(
                f"| {model} | {backend} | {told or '-'} | {times(one['gain'])} | {times(one['batch_8'])} |"
            )
    return "\n".join(lines)


def times(found: Sequence[float] | None) -> str:
    if found is None:
        return "-"
    value, low, high = found
    return f"{value:.3g} ({low:.3g} to {high:.3g})"


def show(found: Mapping[str, Any]) -> None:
    print(page(found))


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="which, with commas between")
    parser.add_argument("--backends", default="", help="which, with commas between; all of ours")
    parser.add_argument("--rounds", type=whole(9), default=25, help="in which a winner is measured afresh")
    parser.add_argument("--processes", type=whole(1), default=5, help="of the winner and of the default")
    return finish(run, parser.parse_args(argv), show)


if __name__ == "__main__":
    sys.exit(main())
