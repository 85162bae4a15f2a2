"""The TFLite adapter on an installed tflite-runtime: right where that runtime is, else refused."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from contracts.backend_contract import BATCH, centred_sqnr_db, compiled
from contracts.models import FIRST, subject
from paretune.backends.contract.backend import batches
from paretune.profiles.precision import Precision

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.version_info >= (3, 12), reason="tflite-runtime has no wheels after Python 3.11"),
]
NONE = (Precision.BF16, Precision.FP8, Precision.INT8_WEIGHT, Precision.GIVEN)
PRECISIONS = [p for p in Precision if p not in NONE]
CHILD = """
    import json, sys
    sys.modules["ai_edge_litert"] = None
    from pathlib import Path
    import numpy as np
    from paretune.backends.tflite.backend import TfliteBackend
    from paretune.profiles.errors import UnsupportedError

    backend, answer = TfliteBackend(), {}
    for title, path, data in json.loads(sys.argv[1]):
        try:
            with backend.open(Path(path), BATCH, 1) as session:
                answer[title] = session.run(dict(np.load(data)))["output"].tolist()
        except UnsupportedError as error:
            answer[title] = error.reason
    print(json.dumps({"available": backend.availability().version, "answer": answer}))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What tflite-runtime gives for every model and precision: outputs, or the reason of a refusal."""
    packages = tmp_path_factory.mktemp("packages")
    install = ["install", "-q", "--target", str(packages), "tflite-runtime==2.14.0", "numpy<2"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", *install], capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip(f"tflite-runtime cannot be installed: {done.stderr[-200:]}")
    cases = []
    for name in FIRST:
        data = packages / f"{name}.npz"
        np.savez(data, **next(batches(subject(name).samples, BATCH)))
        for precision in PRECISIONS:
            cases.append([f"{name} {precision}", str(compiled("tflite", name, precision).path), str(data)])
    code = textwrap.dedent(CHILD).replace("BATCH", str(BATCH))
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(cases)],
        env={**os.environ, "PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_it_is_the_interpreter_that_was_asked_for(found):
    assert found["available"] == "2.14.0 (tflite-runtime)"


@pytest.mark.parametrize(
    ("name", "precision", "least_db"),
    [
        *((name, Precision.FP32, 80.0) for name in FIRST),
        *((name, Precision.FP16, 45.0) for name in FIRST),
        *((name, Precision.INT8, 20.0) for name in ("cnn", "residual", "mlp")),
        *((name, Precision.INT16X8, 20.0) for name in ("cnn", "residual")),
    ],
)
def test_what_runs_is_right(found, name, precision, least_db):
    got = found["answer"][f"{name} {precision}"]
    assert not isinstance(got, str), got
    assert centred_sqnr_db(subject(name).wanted["output"][:BATCH], np.array(got, np.float32)) >= least_db


@pytest.mark.parametrize("name", FIRST)
@pytest.mark.parametrize("precision", [Precision.INT8_DYNAMIC, Precision.INT4_WEIGHT])
def test_what_would_be_wrong_is_refused(found, name, precision):
    assert "tflite-runtime gives wrong numbers for" in found["answer"][f"{name} {precision}"]


def test_wrong_embeddings_are_refused(found):
    assert "wrong numbers for EMBEDDING_LOOKUP" in found["answer"]["transformer int8"]


def test_missing_kernels_are_refused(found):
    assert "cannot run the model" in found["answer"]["mlp int16x8"]
