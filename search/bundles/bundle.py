"""A bundle, read: what was shipped, with what it was shipped as."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...backends.contract.values import TensorSpec
from ...profiles.files import file_inside, open_regular, sha256_of
from ...profiles.precision import Precision
from ...profiles.quantity import Quantity
from ..record.metrics import metric_info
from .manifest import HashedFile, ManifestSaid, ReferenceSaid, path_in, read_said
from .samples import Samples


@dataclass(frozen=True, kw_only=True)
class ReferenceArtifact:
    """The artifact that travels along so that latency can be told against it anywhere: the study's
    uncompressed teacher, or the strongest simple choice. `ratio` is the time per sample of the bundle's
    artifact over that of this one, measured side by side on the bundle's device, each run as is said of it;
    `latency_ms` is what a run of this one took there."""

    path: Path
    artifact_key: str
    backend: str
    precision: Precision
    batch: int
    threads: int
    options: dict[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    versions: dict[str, str]
    ratio: Quantity | None
    latency_ms: Quantity | None


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What the manifest of the bundle in `folder` says.

    `version` is its format. `quality` names the metric that `metrics` has under that name, on `split`;
    `metric_by` says how to compute it again: "built-in" by that name, "workload" by the workload's own
    function ("": not known). `options` are those that its runtime is told when it opens the artifact,
    `compiled_with` those it was told when it compiled. `versions` are its packages', `environment` the
    device's. `samples` and `reference` are None where the bundle has none (of format 1, or left out, for the
    reason in `left_out`); paths are inside of the folder, but what lies there is as it may be: see `damages`.
    """

    folder: Path
    version: int
    paretune: str
    study: str
    trial: int
    ended: str
    title: str
    digest: str
    profile: str
    estimated: bool
    backend: str
    precision: Precision
    artifact: Path
    artifact_key: str
    batch: int
    threads: int
    options: dict[str, str]
    compiled_with: dict[str, str]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    quality: str
    split: str
    metric_by: str
    higher_is_better: bool
    metrics: dict[str, Quantity]
    versions: dict[str, str]
    environment: dict[str, Any]
    files: dict[str, HashedFile]
    sample: Path | None
    expected: Path | None
    samples: Samples | None = None
    reference: ReferenceArtifact | None = None
    left_out: dict[str, str] = field(default_factory=dict)


def read_bundle(folder: Path) -> Bundle:
    """The bundle in a folder, by its manifest; its other files are not opened.

    Raises:
        UserError: no bundle lies there, or its manifest cannot be read, is of a newer version or contradicts
            itself.
    """
    said = read_said(folder)
    given = said.higher_is_better
    direction = metric_info(said.quality.metric).higher_is_better if given is None else given
    return Bundle(
        folder=folder,
        version=said.format,
        paretune=said.paretune,
        study=said.study,
        trial=said.trial,
        ended=said.ended,
        title=said.title,
        digest=said.digest,
        profile=said.profile,
        estimated=said.estimated,
        backend=said.backend,
        precision=said.precision,
        artifact=path_in(folder, said.artifact),
        artifact_key=said.artifact_key,
        batch=said.batch,
        threads=said.threads,
        options=said.options,
        compiled_with=said.compiled_with,
        inputs=said.inputs,
        outputs=said.outputs,
        quality=said.quality.metric,
        split=said.quality.split,
        metric_by=said.quality.by,
        higher_is_better=direction,
        metrics=said.metrics,
        versions=said.versions,
        environment=said.environment,
        files=said.files,
        sample=None if said.sample is None else path_in(folder, said.sample),
        expected=None if said.expected is None else path_in(folder, said.expected),
        samples=_samples(folder, said),
        reference=None if said.reference is None else _reference(folder, said.reference),
        left_out=said.left_out,
    )


def damages(bundle: Bundle) -> dict[str, str]:
    """What is wrong with which of the bundle's files; empty where each is what was written."""
    found = {name: _damage(bundle.folder, name, file) for name, file in bundle.files.items()}
    return {name: damage for name, damage in found.items() if damage}


def _damage(folder: Path, name: str, file: HashedFile) -> str:
    try:
        with open_regular(file_inside(folder, name)) as opened:
            return "" if sha256_of(opened) == file.sha256 else "it is not the file that was exported"
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return error.strerror or str(error)


def _samples(folder: Path, said: ManifestSaid) -> Samples | None:
    if (samples := said.samples) is None:
        return None
    return Samples(
        path=path_in(folder, samples.file),
        file=said.files[samples.file],
        count=samples.count,
        split=samples.split,
        inputs=tuple(spec.name for spec in said.inputs),
        outputs=samples.outputs,
        primary=samples.primary,
        scored=samples.scored,
        as_array=samples.as_array,
        codes=samples.codes,
        targets=samples.targets,
        quality=samples.quality,
        taken_on=samples.taken_on,
    )


def _reference(folder: Path, said: ReferenceSaid) -> ReferenceArtifact:
    return ReferenceArtifact(
        path=path_in(folder, said.file),
        artifact_key=said.artifact_key,
        backend=said.backend,
        precision=said.precision,
        batch=said.batch,
        threads=said.threads,
        options=said.options,
        inputs=said.inputs,
        outputs=said.outputs,
        versions=said.versions,
        ratio=said.ratio,
        latency_ms=said.latency_ms,
    )
