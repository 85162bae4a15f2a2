"""Every runtime at every precision it offers here, on six kinds of models, against ONNX Runtime in fp32.

For each model (a CNN, a residual net, a depthwise net, a Transformer, a recurrent net, an MLP; all trained
for seconds on made-up data) every pair of backend and precision that the device's profile offers is exported,
compiled and loaded as in a study, and all of them are timed in the same rounds, batch 1, one thread, held on
one core. Given are the ratio of latency and of processor time, size, memory, load time, and agreement with
PyTorch: SQNR, and the share of samples that get the same class. What cannot exist is told with its reason.

    python -m benchmarks.backends --out FILE.json [--models cnn,mlp] [--backends ort,tflite] [--rounds 25]
        [--tune 256,120]

With --tune TRIALS,SECONDS a backend that can be tuned has a second row for each precision, with schedules
that were searched for this model. They stay in FILE.tuned.

What was finished stands in FILE.json: called again with the same file, the rest is done. FILE.md has the
tables.
"""

from __future__ import annotations

import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from paretune.backends.contract.tuning import Tuning
from paretune.backends.measure.samples import LatencyPlan
from paretune.backends.registry import backend_names, backend_version, plugins, probes
from paretune.profiles.devices.loader import load_profile
from paretune.profiles.devices.schema import Profile
from paretune.profiles.errors import UserError

from benchmarks.backends.artifacts import REFERENCE, Pair, Row, Workshop, offered, runtimes
from benchmarks.backends.models import MODELS, trained
from benchmarks.backends.table import page
from benchmarks.backends.timing import timed
from benchmarks.backends.tunings import Tunings
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

BLOCK_MS, WARM_UP_S, LIMIT_S = 12.0, 0.1, 90.0


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What each model is compiled for, and how it is timed."""

    profile: Profile
    pairs: Sequence[Pair]
    plan: LatencyPlan
    tunings: Tunings | None


def compared(name: str, asked: Comparison) -> dict[str, Any]:
    """All that is found of one model."""
    model, pairs = trained(name), asked.pairs
    with Workshop(model, asked.profile, asked.tunings) as workshop:
        rows = list(workshop.rows([REFERENCE, *(pair for pair in pairs if pair != REFERENCE)]))
        about = _timed(workshop, rows, asked.plan)
    return {
        "parameters": model.parameters,
        "accuracy": model.accuracy,
        "reference": about,
        "rows": [row.to_json() for row in rows],
    }


def _timed(workshop: Workshop, rows: Sequence[Row], plan: LatencyPlan) -> dict[str, Any]:
    """Times of all rows that were loaded; the first is the reference, whose ratio is 1."""
    first, *others = rows
    if first.process is None or first.artifact is None:
        raise UserError(f"{first.title}, which all are compared with, does not run", found=first.reason)
    base = [first.process, *(workshop.opened(first.artifact)[0] for _ in range(plan.processes - 1))]
    subjects = {row.title: row.process for row in others if row.process is not None}
    tell(f"  timing {len(subjects)} artifacts against {first.title}")
    found, about = timed(subjects, base, plan)
    first.figures.update(ratio=[1.0] * 3, cpu_ratio=[1.0] * 3, latency_ms=about["latency_ms"])
    for row in others:
        figures = found.get(row.title, {})
        if "failed" in figures:
            row.gives_up(figures["failed"])
        else:
            row.figures.update(figures)
    return about


def run(options: Options) -> dict[str, Any]:
    """All models that are asked for, each written as soon as it is done."""
    models, backends = names(options.models), names(options.backends) or _ours()
    if not models:
        raise UserError("there is nothing to compare", place="--models", accepted=", ".join(MODELS))
    check_names("model", models, MODELS)
    check_names("backend", backends, backend_names())
    torch.set_num_threads(1)
    profile = load_profile("host", probes=probes())
    pairs, refused = offered(backends, profile)
    plan = LatencyPlan(rounds=options.rounds, block_ms=BLOCK_MS, warm_up_s=WARM_UP_S, limit_s=LIMIT_S)
    tunings = Tunings(options.out.with_suffix(".tuned"), options.tune) if options.tune else None
    asked = Comparison(profile=profile, pairs=pairs, plan=plan, tunings=tunings)
    versions = {name: backend_version(name) for name in backends}
    how = {"rounds": options.rounds, "backends": versions, "tune": tunings and vars(options.tune)}
    earlier = earlier_figures(options.out)
    found = {"runtimes": runtimes(backends), "refused": refused, "models": dict(earlier.get("models", {}))}
    for name in models:
        if found["models"].get(name, {}).get("how") == how:
            tell(f"{name}: stands in {options.out}")
            continue
        begun = time.perf_counter()
        tell(f"{name}:")
        found["models"][name] = {**compared(name, asked), "how": how}
        found["models"][name]["seconds"] = time.perf_counter() - begun
        write_figures(options.out, found)
    return found


def _ours() -> list[str]:
    return [name for name in backend_names() if name not in plugins()]


def _tuning(text: str) -> Tuning:
    trials, comma, seconds = text.partition(",")
    if not comma:
        raise ArgumentTypeError(f"{text!r} is not TRIALS,SECONDS")
    return Tuning(trials=whole()(trials), seconds=whole()(seconds))


def show(found: Mapping[str, Any]) -> None:
    print(page(found))


def main(argv: list[str] | None = None) -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--models", default=",".join(MODELS), help="which, with commas between")
    parser.add_argument("--backends", default="", help="which, with commas between; all of ours")
    parser.add_argument("--rounds", type=whole(9), default=25, help="of the measurement of each model")
    parser.add_argument("--tune", type=_tuning, help="for backends that can be tuned: TRIALS,SECONDS a model")
    options = parser.parse_args(argv)
    status = finish(run, options, show)
    if status == 0:
        beside = options.out.with_name(f"{options.out.name.removesuffix('.json')}.md")
        beside.write_text(page(earlier_figures(options.out)))
    return status


if __name__ == "__main__":
    sys.exit(main())
