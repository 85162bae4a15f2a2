"""Test bodies that run on recorded versions and, where there is a GPU, on real engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from paretune.backends.contract.backend import Artifact, CompileSettings, SourceModel
from paretune.backends.trt.backend import TrtBackend
from paretune.profiles.precision import Precision
from trt.trt_models import Sample

# Largest error against PyTorch, as a share of the largest output.
TOLERANCE = {
    Precision.FP32: 1e-4, Precision.FP16: 0.01, Precision.BF16: 0.03,
    Precision.INT8: 0.06, Precision.FP8: 0.15, Precision.INT4_WEIGHT: 0.25,
}  # fmt: skip


def compiled(sample: Sample, into: Path, **settings: object) -> Artifact:
    """Compile one of the nets for batch 4, with its data as calibration data where it is needed."""
    chosen = CompileSettings(**{"batch": 4, **settings})  # type: ignore[arg-type]
    needed = chosen.precision.decoded.calibrated or chosen.precision is Precision.INT4_WEIGHT
    calibration = sample.data if needed else None
    return TrtBackend().compile(SourceModel(path=sample.path, format="onnx"), chosen, calibration, into)


def check_engine(sample: Sample, precision: Precision, into: Path, **settings: object) -> None:
    """Compile, open, run twice, compare with PyTorch, close twice."""
    artifact = compiled(sample, into, precision=precision, **settings)
    name, data = next(iter(sample.data.items()))
    with TrtBackend().open(artifact.path, batch=4, threads=1) as session:
        assert [(s.name, s.dtype, s.shape) for s in session.inputs] == [
            (name, str(data.dtype), (4, *data.shape[1:]))
        ]
        assert [s.dtype for s in session.outputs] == ["float32"]
        first = session.run({name: data[:4]})["logits"]
        kept = first.copy()
        second = session.run({name: data[4:8]})["logits"]
        np.testing.assert_array_equal(first, kept, err_msg="a run changed the outputs of an earlier one")
        assert not np.array_equal(first, second)
        for rows, output in ((data[:4], first), (data[4:8], second)):
            wanted = sample.reference({name: rows})
            assert np.abs(output - wanted).max() <= TOLERANCE[precision] * np.abs(wanted).max()
        with pytest.raises(ValueError, match="the model wants"):
            session.run({name: data[:3]})
    session.close()
    with pytest.raises(ValueError, match="closed"):
        session.run({name: data[:4]})
