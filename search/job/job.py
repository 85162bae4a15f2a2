"""From a study file to something that can run: everything is checked here, before anything is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...backends.contract.tuning import Tuning
from ...backends.registry import get_backend, probes
from ...backends.runner.client import Guard
from ...profiles.devices.loader import load_profile
from ...profiles.devices.schema import Profile
from ...profiles.devices.shown import device_identity
from ...profiles.errors import UserError, at_place
from ...profiles.guard.time_limit import set_time_limit
from ..record.candidate import Recipe
from ..record.digest import digest_of
from ..record.estimated import RESTS_ON
from ..record.evaluation import Objective
from ..record.limits import LimitSpec, check_consistent, metric_name, parse_limit, parse_reference
from ..record.metrics import SIDE_EFFECTS, metric_info
from ..space.space import Space
from ..workload.importing import make_importable
from ..workload.loader import LoadedWorkload, load_workload
from .absent import Estimating, check_absent, possible_here, stand_in
from .deploy_axes import DeployAxes, check_options
from .metered import check_price, meter_of
from .places import Places, check_directories, places_of
from .reached import Reached, reach
from .space_of_a_job import build_space
from .study_file import StudyFile, StudyText, read_study


@dataclass(frozen=True, kw_only=True)
class Job:
    """A study file with all that it names: workload, profile, space, objectives and limits.

    `of` is the study whose models this one has, where it trains none; `profile_text` is the profile as named.
    `estimate`: its device cannot be reached, and what it would show is estimated.
    """

    file: StudyFile
    text: str
    places: Places
    loaded: LoadedWorkload
    profile: Profile
    space: Space
    objectives: tuple[Objective, ...]
    limits: tuple[LimitSpec, ...]
    reference: Mapping[str, float]
    of: str = ""
    profile_text: str = ""
    estimate: Estimating | None = None

    @property
    def quality(self) -> str:
        """Name of the workload's metric."""
        return self.loaded.workload.metric.name

    def reached(self, *, to_measure: bool = False, device: str = "") -> Reached:
        """The device (of a pool the one of that name, or the first that answers), asked who it is, and
        `to_measure` also how it is (see `reach`) and what tells energy there; this machine in the place of
        one that is estimated."""
        if self.estimate is not None:
            return stand_in(self.profile, tries=self.file.deploy.tries or self.file.sustained is not None)
        found = reach(self.profile, self.guard, self.file.deploy.setting.threads * to_measure, device)
        if not to_measure:
            return found
        meter = meter_of(self.profile, found.looked.meters, self.limits, self.objectives)
        return replace(found, meter=meter)

    def axes(self, allowed: float = 0.0) -> DeployAxes:
        """What is tried of how finalists are deployed, on a device that allows so many cores (0: all that its
        profile says)."""
        has = self.profile.cpu.threads if self.profile.cpu else 0
        most = min(filter(None, (has, int(allowed))), default=0)
        return DeployAxes(deploy=self.file.deploy, profile=self.profile, most_threads=most)

    @property
    def guard(self) -> Guard:
        """The hard limits on its runners."""
        guard = self.file.guard
        return Guard(
            compile_s=guard.compile,
            open_s=guard.open,
            run_s=guard.run,
            memory_bytes=guard.memory,
            patience_s=guard.patience,
        )

    @property
    def tuning(self) -> Tuning | None:
        """What a tuning may take; None where nothing is tuned."""
        said, threads = self.file.tuning, self.file.deploy.setting.threads
        return Tuning(trials=said.trials, seconds=said.time, threads=threads) if said else None

    @property
    def tuning_seconds(self) -> dict[str, float]:
        """The backends of the space that have to be tuned, with the seconds that one tuning may take."""
        tuned = [choices.name for choices in self.space.backends if get_backend(choices.name).tunable]
        return dict.fromkeys(tuned, self.tuning.seconds) if self.tuning else {}

    def problem(self) -> dict[str, Any]:
        """What a resumed study must have in common with the study it resumes."""
        file = self.file
        return {
            "workload": self.loaded.source_digest,
            "data": digest_of(self.loaded.data_digests),
            "device": device_identity(self.profile),
            "space": _space_of(file),
            "ladder": file.ladder if isinstance(file.ladder, str) else file.ladder.model_dump(mode="json"),
            "training": file.training.model_dump(mode="json", exclude={"threads"}),
            "objectives": [objective.metric for objective in self.objectives],
            "constraints": sorted(file.constraints),
            "deploy": {"batch": file.deploy.setting.batch, "threads": file.deploy.setting.threads},
            "seed": file.seed,
            **({"tuning": file.tuning.model_dump(mode="json")} if file.tuning else {}),
            **({"retargets": self.of} if self.of else {}),
            **({RESTS_ON: self.estimate.digest} if self.estimate else {}),
        }


def _space_of(file: StudyFile) -> dict[str, Any]:
    """The space of a file, with what was once a choice."""
    plain = file.space.model_dump(mode="json")
    plain["distill"]["hidden"] = [Recipe.hidden_weight]
    if "weight" not in file.space.distill.model_fields_set:  # training without the teacher came later
        plain["distill"]["weight"] = [Recipe.distill_weight]
    return {**plain, "order": [Recipe.order]}


def load_job(
    path: Path, profile_name: str | None = None, where: Sequence[str] = (), *, estimate: bool = False
) -> Job:
    """Read a study file and everything that it names; `profile_name` replaces the file's profile, `where` its
    limits on the same metrics. `estimate`: the device is one that cannot be reached.

    Raises:
        UserError: anything in it cannot be accepted.
    """
    study = read_study(path)
    with study.places_told():
        job = _job(study, path, profile_name, where)
    if not estimate:
        return job
    check_absent(job.profile)
    return replace(job, estimate=Estimating(), space=possible_here(job.space, job.profile))


def own_code_beside(study_file: Path) -> None:
    """Have modules looked for beside a study file: `space.backend` may name one."""
    make_importable(study_file.resolve().parent)


def _job(study: StudyText, path: Path, profile_name: str | None, where: Sequence[str]) -> Job:
    file, base = study.file, path.resolve().parent
    places = places_of(file, path)
    check_directories(places)
    set_time_limit(file.guard.user)
    own_code_beside(path)
    with at_place("workload"):
        loaded = load_workload(file.workload.file, base, file.workload.options)
    with at_place("profile" if profile_name is None else "--profile"):
        profile = load_profile(file.profile if profile_name is None else profile_name, base, probes())
    quality = loaded.workload.metric.name
    limits = _limited(_limits(file, quality), where, quality)
    file = file.model_copy(update={"constraints": tuple(limit.text for limit in limits)}) if where else file
    objectives = _objectives(file, loaded)
    if loaded.given is not None:
        _refuse_macs([*(limit.metric for limit in limits), *(o.metric for o in objectives)])
    check_price(profile, limits, objectives)
    with at_place("space"):
        space = build_space(file, profile, loaded.workload, loaded.given)
    check_options(file.deploy, profile, space)
    return Job(
        file=file,
        text=study.document.text,
        places=places,
        loaded=loaded,
        profile=profile,
        space=space,
        objectives=objectives,
        limits=limits,
        reference=parse_reference(file.reference, quality),
        profile_text=file.profile if profile_name is None else profile_name,
    )


def _limits(file: StudyFile, quality: str) -> tuple[LimitSpec, ...]:
    limits = []
    for number, text in enumerate(file.constraints):
        with at_place(f"constraints.{number}"):
            limits.append(parse_limit(text, quality))
    with at_place("constraints"):
        check_consistent(tuple(limits))
    return tuple(limits)


def _limited(own: tuple[LimitSpec, ...], where: Sequence[str], quality: str) -> tuple[LimitSpec, ...]:
    """The limits of a file, those of `where` in place of its own on the same metric and side."""
    with at_place("--where"):
        others = tuple(parse_limit(text, quality) for text in where)
        replaced = {(limit.metric, limit.upper) for limit in others}
        limits = (*(limit for limit in own if (limit.metric, limit.upper) not in replaced), *others)
        check_consistent(limits)
    return limits


def _refuse_macs(metrics: list[str]) -> None:
    if "macs" in metrics:
        raise UserError(
            "multiply-adds are not counted for a model that exists only as a file",
            place="objectives or constraints",
            found="macs",
            remedy="use latency, size or parameters",
        )


def _objectives(file: StudyFile, loaded: LoadedWorkload) -> tuple[Objective, ...]:
    metric = loaded.workload.metric
    names = []
    for number, text in enumerate(file.objectives or (metric.name, "latency", "size")):
        with at_place(f"objectives.{number}"):
            names.append(metric_name(text, metric.name))
    if len(set(names)) != len(names):
        raise UserError("an objective is named twice", place="objectives", found=", ".join(names))
    for name in sorted(set(names) & set(SIDE_EFFECTS)):
        raise UserError(
            "a comparison with the teacher can be limited, but is no objective",
            place="objectives",
            found=name,
            remedy=f"put a limit on {name} under `constraints`",
        )
    weights = _weights(file.prefer, names, metric.name)
    objectives = []
    for name in names:
        higher = metric.higher_is_better if name == metric.name else metric_info(name).higher_is_better
        objectives.append(Objective(metric=name, higher_is_better=higher, weight=weights.get(name, 1.0)))
    return tuple(objectives)


def _weights(prefer: Mapping[str, float], objectives: list[str], quality: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    for text, weight in prefer.items():
        with at_place(f"prefer.{text}"):
            name = metric_name(text, quality)
            if name in weights:
                raise UserError("this objective is named twice", found=name)
            weights[name] = weight
    extra = sorted(set(weights) - set(objectives))
    if extra:
        raise UserError(
            "a preference for something that is no objective",
            place="prefer",
            found=", ".join(extra),
            accepted=", ".join(objectives),
        )
    return weights
