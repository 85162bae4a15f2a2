"""The kind of models that a workload brings."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from ....backends.registry import taker_of
from ...record.candidate import Recipe
from ...record.progress import Progress
from ...store.store import Store
from ...workload.loader import LoadedWorkload
from ...workload.one_sided import one_sided
from ...workload.split_checks import check_onnx, check_splits
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
    should_stop: Callable[[], bool] = lambda: False,
    out_of_time: Callable[[], bool] = lambda: False,
    fallback: Recipe | None = None,
    step: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Models:
    """The models of a workload. `should_stop` is asked after every epoch of a training, `out_of_time` after
    every step, and `step` is a block about each (see `Control`); `fallback` is how the teacher is trained on,
    which has no recipe of its own."""
    if loaded.given is not None:
        taker = taker_of(loaded.given)
        return FileModels(loaded, store, progress, taker) if taker else OnnxModels(loaded, store, progress)
    from ..training.loop import Control  # torch takes seconds to load
    from .torch_models import TorchModels

    control = Control(
        should_stop=should_stop,
        out_of_time=out_of_time,
        progress=progress.stage,
        note=progress.note,
        step=step,
    )
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
