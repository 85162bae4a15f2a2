"""The backend contract for TensorRT: what needs no GPU where there is none, everything where there is one.

TensorRT-RTX builds without a GPU. Its plans differ from build to build in a few bytes of bookkeeping, so
"equal bytes" is asked of the graph that is built, whose digest stands in the artifact's header.
"""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from contracts.backend_contract import BATCH, BackendContract, compile_model, compiled, new_folder, source
from contracts.models import subject
from paretune.backends.trt import api as trt_api
from paretune.backends.trt.plan_file import read_plan
from paretune.profiles.precision import Precision

pytestmark = pytest.mark.slow

if not trt_api.availability().installed:
    pytest.skip("no TensorRT is installed", allow_module_level=True)

LOW = (Precision.INT8, Precision.FP8, Precision.INT4_WEIGHT)
_WITHOUT_TORCH = """
import json, sys
sys.modules["torch"] = None
import numpy as np
from pathlib import Path
from paretune.backends.contract import CompileSettings, SourceModel
from paretune.backends.trt.backend import TrtBackend
from paretune.backends.trt.plan_file import read_plan
from paretune.profiles.precision import Precision
answer = []
for precision in json.loads(sys.argv[4]):
    made = TrtBackend().compile(
        SourceModel(path=Path(sys.argv[1]), format="onnx"),
        CompileSettings(precision=Precision(precision), batch=int(sys.argv[5])),
        dict(np.load(sys.argv[2])), Path(sys.argv[3]),
    )
    answer.append(read_plan(made.path)[0].graph)
print(json.dumps(answer))
"""


class TestTrt(BackendContract):
    name = "trt"
    precisions = (Precision.FP32, Precision.FP16, Precision.BF16, *LOW)
    refused = {
        **{("recurrent", p): r"not those of LSTM, GRU: TensorRT" for p in LOW},
        **{("branch", p): r"not those of If: TensorRT" for p in LOW},
        **{("transposed", p): r"not those of ConvTranspose: TensorRT" for p in LOW},
        ("recurrent", Precision.BF16): r"node '\w+' \(GRU\)",
        ("branch", Precision.BF16): "bf16 needs a graph without branches; found If",
        **{
            (net, Precision.INT4_WEIGHT): "not those of Conv: TensorRT"
            for net in ("cnn", "residual", "two-outputs")
        },
    }
    runs_here = not trt_api.device_problem()

    def test_compiling_twice_gives_the_same_bytes(self, case):
        again, first = compile_model(self.backend, *case), compiled(self.name, *case)
        assert read_plan(again.path)[0] == read_plan(first.path)[0]
        assert again.weight_bytes == first.weight_bytes

    def test_untrained_weights_compile_without_the_check(self):
        artifact = compile_model(self.backend, "mlp", Precision.INT8, check=False)
        wanted = compiled(self.name, "mlp", Precision.INT8)
        assert read_plan(artifact.path)[0] == read_plan(wanted.path)[0]

    def test_another_process_without_torch_gives_the_same_bytes_in_another_order(self):
        folder = new_folder()
        np_file = folder / "calibration.npz"

        np.savez(np_file, **subject("transformer").calibration)
        wanted = [str(precision) for precision in self.precisions]
        arguments = [
            source("transformer", self.backend).path,
            np_file,
            folder,
            json.dumps(wanted),
            str(BATCH),
        ]
        done = subprocess.run(
            [sys.executable, "-c", _WITHOUT_TORCH, *arguments], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr[-3000:]
        here = [read_plan(compiled(self.name, "transformer", p).path)[0].graph for p in self.precisions]
        assert json.loads(done.stdout.splitlines()[-1]) == here
