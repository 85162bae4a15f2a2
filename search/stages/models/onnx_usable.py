"""A prepared ONNX model that was seen to run on the data, the output that is scored before the others."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ....backends.onnx_graph.float_run import BATCH, DoesNotRunError, FloatRun, NewerIrError
from ....backends.onnx_graph.inspect import fixed_batch
from ....backends.onnx_graph.prepare import Prepared, with_first_output, with_ir_version
from ....profiles.errors import UserError
from ...workload.onnx_file import read_onnx, weight_files
from ...workload.workload import Array, Split, Workload
from .onnx_outputs import check_same_model, meant
from .usable import LOOKED_AT, Usable, again

if TYPE_CHECKING:
    from onnx import ModelProto


def usable(path: Path, prepared: Prepared, split: Split, workload: Workload, place: str) -> Usable:
    """Run a prepared model on a few samples: choose the output, and compare it with the user's file.

    Raises:
        UserError: it does not run, is not the same model, or has no output that is plainly meant.
    """
    sample = split.head(LOOKED_AT)
    run, proto, lowered = _loaded(prepared.proto, place)
    batch, one_by_one = _batch_that_runs(run, proto, sample)
    outputs = run.outputs(sample.inputs, batch)
    choice = meant(outputs, sample.labels, workload, place)
    original = read_onnx(path)
    if original != proto:
        _compare(original, outputs, sample, batch, prepared.came_as, place)
    unstable = again(run, sample, batch, choice.primary, outputs[choice.primary])
    final = with_first_output(proto, choice.primary)
    as_it_is = final == original and not weight_files(path)
    return Usable(
        content=path.read_bytes() if as_it_is else final.SerializeToString(deterministic=True),
        run=run,
        batch=batch,
        choice=choice,
        few={name: outputs[name] for name in choice.names},
        notes=(*prepared.notes, *filter(None, (lowered, one_by_one)), *unstable),
    )


def _loaded(proto: ModelProto, place: str) -> tuple[FloatRun, ModelProto, str]:
    """A newer IR version is a stamp that tools put on models that use nothing of it."""
    try:
        return FloatRun(proto, place), proto, ""
    except NewerIrError as error:
        lower = with_ir_version(proto, error.newest)
        if lower is None:
            raise
        note = f"the model's IR version was lowered from {proto.ir_version} to {error.newest}, which is what "
        return FloatRun(lower, place), lower, note + "the installed runtime reads"


def _batch_that_runs(run: FloatRun, proto: ModelProto, sample: Split) -> tuple[int, str]:
    """Rows that are run at once: those that the file fixes, else several, or one where that alone runs."""
    if fixed := fixed_batch(proto):
        return fixed, ""
    try:
        run.outputs(sample.head(BATCH).inputs, BATCH)
    except DoesNotRunError as error:
        try:
            run.outputs(sample.head(2).inputs, 1)
        except UserError:
            raise error from None
        return 1, f"the model runs one sample at a time only, though its batch is free: {error.found}"
    return BATCH, ""


def _compare(
    original: ModelProto, outputs: Mapping[str, Array], sample: Split, batch: int, came_as: str, place: str
) -> None:
    """The user's file may be of a kind that cannot be run at all; then there is nothing to compare."""
    try:
        before = FloatRun(original, place).outputs(sample.inputs, batch)
    except Exception:  # outputs that are no tensors, types that the runtime does not have
        return
    check_same_model(before, outputs, came_as, place)
