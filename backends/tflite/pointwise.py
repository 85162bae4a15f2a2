"""Pointwise convolutions as fully connected layers: the same sums, for which XNNPACK has 4-bit kernels.

4-bit convolutions run on builtin kernels, two to five times slower than float. Most of the weights of nets
with depthwise convolutions stand in pointwise ones.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np


def pointwise_as_products(content: bytes) -> bytes:
    """The model with each convolution of one pixel without stride as FULLY_CONNECTED on the same weights.

    Models whose constants stand behind the flatbuffer are given back as they are.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if any(buffer.offset > 1 for buffer in model.buffers):
        return content
    kinds = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    changed = [
        _turn(graph, operator, _product_code(model, kinds))
        for graph in model.subgraphs
        for operator in graph.operators
        if kinds[operator.opcodeIndex] == schema.BuiltinOperator.CONV_2D and _is_pointwise(graph, operator)
    ]
    if not changed:
        return content
    builder = import_module("flatbuffers").Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _is_pointwise(graph: Any, operator: Any) -> bool:
    data, weight = (graph.tensors[position] for position in operator.inputs[:2])
    options = operator.builtinOptions
    whole = weight.shape[3] == data.shape[3]  # else a grouped convolution
    return bool(whole and tuple(weight.shape[1:3]) == (1, 1) and options.strideH == options.strideW == 1)


def _product_code(model: Any, kinds: list[int]) -> int:
    """Position of FULLY_CONNECTED among the operators that the model names, where it may have to be added."""
    from ai_edge_litert import schema_py_generated as schema

    product = schema.BuiltinOperator.FULLY_CONNECTED
    if product not in kinds:
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = product
        model.operatorCodes.append(code)
        kinds.append(product)
    return kinds.index(product)


def _turn(graph: Any, operator: Any, code: int) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    options = schema.FullyConnectedOptionsT()
    options.fusedActivationFunction = operator.builtinOptions.fusedActivationFunction
    options.keepNumDims = True
    operator.opcodeIndex, operator.builtinOptions = code, options
    operator.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    weight = graph.tensors[operator.inputs[1]]
    if len(weight.shape) == 4:  # a weight that two operators share is turned once
        weight.shape = np.array([weight.shape[0], weight.shape[3]], np.int32)
    return True
