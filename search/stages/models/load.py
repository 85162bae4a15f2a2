"""The kind of models that a workload brings."""

from __future__ import annotations

from pathlib import Path

from ....backends.registry import taker_of
from ...record.candidate import Recipe
from ...record.progress import Progress
from ...store.store import Store
from ...workload.loader import LoadedWorkload
from ...workload.one_sided import one_sided
from ...workload.split_checks import check_onnx, check_splits
from ..training.control import Control as Control  # a word of whoever loads them, too
from .base import Models
from .file_models import FileModels
from .onnx_models import OnnxModels


def check_data(loaded: LoadedWorkload) -> tuple[str, ...]:
    """Check what can be checked without training or writing anything; returns remarks on the data.

    Raises:
        UserError: an error in the workload, with its place and remedy.
    """
    workload, splits = loaded.workload, loaded.splits
    check_splits(splits, workload.metric)
    if loaded.given is not None:
        taker = taker_of(loaded.given)
        if taker is None:
            check_onnx(loaded.given, splits, workload)
        else:
            FileModels(loaded, Store(Path()), Progress(), taker).check_inputs()
    return one_sided(splits)


def load_models(
    loaded: LoadedWorkload,
    store: Store,
    progress: Progress,
    threads: int | None,
    control: Control | None = None,
    fallback: Recipe | None = None,
) -> Models:
    """The models of a workload. `control` is of their trainings (None: nobody ends them early); `fallback` is
    how the teacher is trained on, which has no recipe of its own."""
    if loaded.given is not None:
        taker = taker_of(loaded.given)
        return FileModels(loaded, store, progress, taker) if taker else OnnxModels(loaded, store, progress)
    from .torch_models import TorchModels  # torch takes seconds to load

    return TorchModels(loaded, store, progress, threads, control, fallback)


def kept_models(
    loaded: LoadedWorkload,
    store: Store,
    progress: Progress,
    threads: int | None,
    fallback: Recipe,
    study: str,
) -> Models:
    """The models of a workload as the study of that name left them in the store; nothing is trained."""
    if loaded.given is not None:
        return load_models(loaded, store, progress, threads)
    from .kept_models import KeptModels  # torch takes seconds to load

    return KeptModels(loaded, store, progress, threads, fallback, study)
