"""Bundles that run: small networks for the toy backend, which is deterministic and times by formula."""

import json
from pathlib import Path

import numpy as np
from bundle_folders import files_of
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from paretune.backends.measure.environment import environment
from paretune.backends.registry import packages

BATCH, CLASSES, COUNT = 4, 3, 120


def network(path: Path, width: int, *, seed: int = 0, told_bytes: int | None = None) -> Path:
    """A linear network of x in y; the toy's latency goes by the bytes that it is told to have."""
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=shape).astype(np.float32) for shape in ((8, width), (width, CLASSES))]
    nodes = [
        helper.make_node("MatMul", ["x", "w0"], ["hidden"]),
        helper.make_node("Relu", ["hidden"], ["active"]),
        helper.make_node("MatMul", ["active", "w1"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [BATCH, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [BATCH, CLASSES])],
        [numpy_helper.from_array(array, f"w{number}") for number, array in enumerate(weights)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])
    size = sum(array.nbytes for array in weights) if told_bytes is None else told_bytes
    helper.set_model_props(model, {"precision": "fp32", "bytes": str(size)})
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString())
    return path


def nanoseconds(told_bytes: int) -> float:
    """The toy's formula."""
    return 20_000 + told_bytes // 2 * BATCH


class MadeBundle:
    """A bundle in a folder. What is changed in it afterwards is hashed again by `sealed`."""

    def __init__(self, folder: Path, *, backend: str = "toy", regression: bool = False) -> None:
        self.folder = folder
        artifact = network(folder / "model.toy", 16, told_bytes=100_000)
        network(folder / "reference" / "model.toy", 32, seed=1, told_bytes=400_000)
        rng = np.random.default_rng(3)
        self.inputs = rng.normal(size=(COUNT, 8)).astype(np.float32)
        self.outputs = given(artifact, self.inputs)
        self.targets = self.outputs + 0.1 if regression else _mostly_right(self.outputs)
        arrays = {"input x": self.inputs, "output y": self.outputs, "targets": self.targets}
        np.savez(folder / "samples.npz", **arrays)
        right = float((self.outputs.argmax(1) == self.targets).mean()) if not regression else 0.1
        ratio = nanoseconds(100_000) / nanoseconds(400_000)
        specs = {"inputs": [_spec("x", 8)], "outputs": [_spec("y", CLASSES)]}
        how = {"backend": backend, "precision": "fp32", "batch": BATCH, "threads": 1, **specs}
        metric = "rmse" if regression else "accuracy"
        self.manifest = {
            **how,
            "format": 2,
            "paretune": "0.1",
            "study": "blobs",
            "trial": 3,
            "title": "net",
            "artifact": "model.toy",
            "artifact_key": "ab",
            "quality": {"metric": metric, "split": "test", "by": "built-in"},
            "metrics": {
                metric: {"value": right, "low": right - 0.05, "high": right + 0.05},
                "latency_ms": {"value": nanoseconds(100_000) / 1e6},
            },
            "versions": {"paretune-toy": "1"},
            "profile": "host",
            "environment": environment(packages()),
            "samples": {
                "file": "samples.npz",
                "count": COUNT,
                "split": "test",
                "outputs": ["y"],
                "primary": "y",
                "scored": ["y"],
                "quality": {"value": right},
                "taken_on": "host",
            },
            "reference": {
                **how,
                "file": "reference/model.toy",
                "versions": {"paretune-toy": "1"},
                "ratio": {"value": ratio, "low": ratio * 0.99, "high": ratio * 1.01},
            },
        }
        self.sealed()

    def sealed(self, **changes) -> Path:
        """Write the manifest with the hashes of what lies there now."""
        self.manifest |= changes
        whole = {**self.manifest, "files": files_of(self.folder)}
        (self.folder / "manifest.json").write_text(json.dumps(whole))
        return self.folder


def given(artifact: Path, inputs):
    """What an artifact gives, batch by batch as its runtime does."""
    run = ReferenceEvaluator(str(artifact)).run
    return np.concatenate([run(None, {"x": inputs[i : i + BATCH]})[0] for i in range(0, len(inputs), BATCH)])


def _mostly_right(outputs):
    decided = outputs.argmax(1)
    wrong = np.random.default_rng(5).random(len(decided)) < 0.1
    return np.where(wrong, (decided + 1) % CLASSES, decided).astype(np.int64)


def _spec(name, size):
    return {"name": name, "dtype": "float32", "shape": [BATCH, size]}
