"""Small artifacts of ONNX Runtime and LiteRT, and the entries of a store that hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from paretune.search.store.store import Store, content_key

TABLE = np.arange(20, dtype=np.float32).reshape(5, 4)
ARTIFACT = {"size_bytes": 1, "weight_bytes": {}, "notes": [], "versions": {}}
WEIGHTS = np.linspace(-1, 1, 12, dtype=np.float32).reshape(4, 3)


def onnx_file(path: Path) -> None:
    """y = x @ WEIGHTS for batches of 2."""
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["output"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 4])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [2, 3])],
        [numpy_helper.from_array(WEIGHTS, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)


def tflite_file(path: Path) -> None:
    """Looks up rows of TABLE by int32 tokens, three to a sample; written with LiteRT's own schema."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: bytes, shape: list[int], kind: int, buffer: int) -> object:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, shape, kind, buffer
        return made

    def named(name: bytes, index: int) -> object:
        made = schema.TensorMapT()
        made.name, made.tensorIndex = name, index
        return made

    buffers = [schema.BufferT(), schema.BufferT()]
    buffers[1].data = np.frombuffer(TABLE.tobytes(), dtype=np.uint8)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.GATHER
    code.version = 1
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0, 1], [2]
    operator.builtinOptionsType = schema.BuiltinOptions.GatherOptions
    operator.builtinOptions = schema.GatherOptionsT()
    graph = schema.SubGraphT()
    graph.tensors = [
        tensor(b"table", [5, 4], schema.TensorType.FLOAT32, 1),
        tensor(b"serving_default_tokens:0", [1, 3], schema.TensorType.INT32, 0),
        tensor(b"StatefulPartitionedCall:0", [1, 3, 4], schema.TensorType.FLOAT32, 0),
    ]
    graph.inputs, graph.outputs, graph.operators = [1], [2], [operator]
    signature = schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    signature.inputs, signature.outputs = [named(b"tokens", 1)], [named(b"output", 2)]
    model = schema.ModelT()
    model.version, model.operatorCodes, model.buffers = 3, [code], buffers
    model.subgraphs, model.signatureDefs = [graph], [signature]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))


def stored(root: Path, backend: str) -> str:
    """A compile entry as the compile stage writes it; returns its key."""
    name = "model.onnx" if backend == "ort" else "model.tflite"
    specs = {
        "ort": (("x", "float32", [2, 4]), ("output", "float32", [2, 3])),
        "tflite": (("tokens", "int32", [1, 3]), ("output", "float32", [1, 3, 4])),
    }[backend]
    package, version = ("onnxruntime", "1.31.1") if backend == "ort" else ("ai-edge-litert", "2.3.0")

    def make(into: Path) -> dict[str, object]:
        (onnx_file if backend == "ort" else tflite_file)(into / name)
        samples = {
            "ort": {"x": np.ones((2, 4), np.float32)},
            "tflite": {"tokens": np.array([[0, 4, 2]], np.int64)},
        }
        np.savez(into / "sample.npz", **samples[backend])
        expected = {"ort": samples["ort"]["x"] @ WEIGHTS, "tflite": TABLE[[[0, 4, 2]]]}[backend]
        np.savez(into / "expected.npz", output=expected)
        inputs, outputs = ({"name": n, "dtype": d, "shape": s} for n, d, s in specs)
        return {
            "file": name,
            "artifact": {**ARTIFACT, "path": name, "backend": backend, "versions": {package: version}},
            "inputs": [inputs],
            "outputs": [outputs],
            "sample": "sample.npz",
            "expected": "expected.npz",
            "batch": specs[0][2][0],
            "threads": 1,
        }

    key = content_key("compile", 1, {"backend": backend})
    Store(root).produce("compile", key, {"backend": backend}, make)
    return key
