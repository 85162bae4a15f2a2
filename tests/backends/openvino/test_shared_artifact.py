"""One quantizer and one file for two runtimes: whoever compiles second finds it made."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from paretune.backends.measure.samples import LatencyPlan
from paretune.backends.runner.client import Guard
from paretune.backends.runner.launch import LocalLaunch
from paretune.backends.runner.leased import DeviceLease
from paretune.profiles.precision import Precision
from paretune.search.record.candidate import Candidate
from paretune.search.stages.device.line import Line
from paretune.search.stages.device.runners import Deployment
from paretune.search.stages.device.stages import DeviceStages
from paretune.search.store.store import Store, content_key

RNG = np.random.default_rng(0)
DATA = {"x": RNG.normal(size=(32, 16)).astype(np.float32)}


def exported(into):
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")],
        "g",
        [value("x", TensorProto.FLOAT, ["batch", 16])],
        [value("y", TensorProto.FLOAT, ["batch", 8])],
        [numpy_helper.from_array(RNG.normal(size=(16, 8)).astype(np.float32), "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), into / "model.onnx")
    return {"file": "model.onnx", "format": "onnx"}


def test_the_second_runtime_compiles_from_what_the_first_had_made(tmp_path):
    store, announced = Store(tmp_path / "store"), []
    source = store.produce("export", content_key("export", 1, {}), {}, exported)
    stages = DeviceStages(
        store=store,
        deployment=Deployment(batch=1, threads=1, device="here", instructions="these"),
        lease=DeviceLease(LocalLaunch()),
        line=Line(launch=LocalLaunch(), guard=Guard()),
        plan=LatencyPlan(),
        announce=announced.append,
    )
    int8 = {"precision": Precision.INT8, "calibration_method": "minmax", "calibration_samples": 0}
    try:
        made = [
            stages.compiled(Candidate(backend=name, **int8), source, (DATA, "data"))
            for name in ("ort", "openvino")
        ]
    finally:
        stages.close()
    assert announced == ["quantize", "compile", "compile"]
    assert len(list((store.root / "make").iterdir())) == 1
    first, second = (entry.file(entry.meta["file"]).read_bytes() for entry in made)
    assert first == second
    notes = [" ".join(entry.meta["artifact"]["notes"]) for entry in made]
    assert ["computed in int8" in note for note in notes] == [False, True]
    assert made[0].meta["artifact"]["stored_as"] == made[1].meta["artifact"]["stored_as"] == {"w": "int8"}
