"""Small .tflite files of every kind that users hand in, and the data that they are right for."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

WEIGHT = np.random.default_rng(3).normal(size=(3, 8)).astype(np.float32)
SIGNATURE = "serving_default"
X_SCALE, X_ZERO, W_SCALE, Y_SCALE, Y_ZERO = 0.05, -3, 0.03, 0.1, 5


def splits(name="x"):
    from paretune import Split, Splits

    found = {}
    for seed, (part, count) in enumerate(
        {"train": 90, "calibration": 30, "validation": 60, "test": 60}.items()
    ):
        x = np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float32)
        found[part] = Split(inputs={name: x}, labels=(x @ WEIGHT.T).argmax(1))
    return Splits(**found)


def dense(*, int8=False, signatures=(SIGNATURE,), batch=1, free=False, names=("x", "y")):
    """y = x W in one fully connected operator, in float or in int8 from end to end. `free`: the batch."""
    kind = schema.TensorType.INT8 if int8 else schema.TensorType.FLOAT32
    weight = np.clip(np.rint(WEIGHT / W_SCALE), -127, 127).astype(np.int8) if int8 else WEIGHT
    model = schema.ModelT()
    model.version = 3
    model.buffers = [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.frombuffer(weight.tobytes(), np.uint8)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4 if int8 else 1
    model.operatorCodes = [code]
    graph = schema.SubGraphT()
    scales = [(X_SCALE, X_ZERO), (W_SCALE, 0), (Y_SCALE, Y_ZERO)] if int8 else [None] * 3
    shapes, buffers = ([batch, 8], [3, 8], [batch, 3]), (0, 1, 0)
    ends = (names[0], "w", names[1])
    graph.tensors = [tensor(*one) for one in zip(ends, [kind] * 3, shapes, buffers, scales, strict=True)]
    for place in (0, 2) if free else ():
        graph.tensors[place].shapeSignature = np.array([-1, *shapes[place][1:]], np.int32)
    graph.inputs, graph.outputs = np.array([0], np.int32), np.array([2], np.int32)
    operator = schema.OperatorT()
    operator.inputs, operator.outputs = np.array([0, 1, -1], np.int32), np.array([2], np.int32)
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    operator.builtinOptions = schema.FullyConnectedOptionsT()
    graph.operators = [operator]
    model.subgraphs = [graph]
    model.signatureDefs = [signature(name) for name in signatures]
    return model


def tensor(name, kind, shape, buffer, scale):
    made = schema.TensorT()
    made.name, made.type, made.shape, made.buffer = name.encode(), kind, np.array(shape, np.int32), buffer
    if scale:
        made.quantization = schema.QuantizationParametersT()
        made.quantization.scale = np.array(scale[:1], np.float32)
        made.quantization.zeroPoint = np.array(scale[1:], np.int64)
    return made


def signature(name, subgraph=0):
    made = schema.SignatureDefT()
    made.signatureKey, made.subgraphIndex = name.encode(), subgraph
    made.inputs, made.outputs = [end("x", 0)], [end("y", 2)]
    return made


def end(name, place):
    made = schema.TensorMapT()
    made.name, made.tensorIndex = name.encode(), place
    return made


def custom(name):
    """A model of one operator that no interpreter has."""
    model = dense()
    model.operatorCodes[0].builtinCode = schema.BuiltinOperator.CUSTOM
    model.operatorCodes[0].deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    model.operatorCodes[0].customCode = name.encode()
    model.subgraphs[0].operators[0].builtinOptionsType = 0
    model.subgraphs[0].operators[0].builtinOptions = None
    return model


def packed(model):
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
