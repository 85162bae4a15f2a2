"""A deterministic backend in a package of its own: ONNX's reference evaluator, latency by formula.

Weights are really rounded and stored at the precision's bits, so that size and accuracy move as elsewhere.
"""

import os
from collections import Counter

import numpy as np
from paretune.backends import contract
from paretune.profiles.precision import Precision

PACE = contract.RuntimeOption(name="pace", values=("walk", "run"), default="walk", does="how fast it goes")


class ToyBackend(contract.Compiler):
    name, title, packages, install = "toy", "Toy", ("paretune-toy",), "pip install paretune-toy"
    calibration_methods = ("minmax", "percentile", "entropy")
    artifact_name = "model.toy"
    # A format of its own, by the quicker of PyTorch's exporters: studies of it would mostly export.
    source_format, source_title, exporters = "toy", "Toy", ("torch", "onnx")

    def availability(self):
        if "PARETUNE_TOY" in os.environ:  # else every study of a developer would search it
            return contract.Availability(installed=True, version="1")
        return contract.Availability(installed=False, reason="it is for tests, which set PARETUNE_TOY")

    def precisions(self, profile):
        return tuple(precision for precision in Precision if precision is not Precision.GIVEN)

    def export(self, module, feed, path):
        import torch

        class InOrder(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.module = module

            def forward(self, *tensors):
                return tuple(self.module(**dict(zip(feed, tensors, strict=True))).values())

        tensors = {name: torch.from_numpy(np.array(array)) for name, array in feed.items()}
        with torch.no_grad():
            outputs = list(module(**tensors))
            axes = {name: {0: "batch"} for name in (*tensors, *outputs)}
            names = {"input_names": list(tensors), "output_names": outputs, "dynamic_axes": axes}
            ordered = tuple(tensors.values())
            torch.onnx.export(InOrder().eval(), ordered, str(path), dynamo=False, opset_version=18, **names)
        return evaluated(path, feed)

    def onnx_converter(self):
        return contract.Availability(installed=True, version="1")

    def from_onnx(self, onnx, data, batch, path):
        path.write_bytes(onnx.read_bytes())
        return evaluated(path, data)

    def convert(self, model, settings, calibration):
        import onnx

        proto, kept = onnx.load(model.path), settings.keep_float
        stored, stored_as, sizes = Counter(), {}, {}
        for tensor in [t for t in proto.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]:
            name, shape = tensor.name, tensor.dims[:]
            kind = store(proto, tensor, 32 if name in kept else settings.precision.decoded.weight_bits)
            stored[kind] += len(tensor.raw_data)
            if len(shape) > 1:
                stored_as[name], sizes[name] = kind, int(np.prod(shape))
        for value in (*proto.graph.input, *proto.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = settings.batch
        told = {"precision": str(settings.precision), "bytes": str(sum(stored.values()))}
        onnx.helper.set_model_props(proto, told)
        proto.opset_import[0].version = max(21, proto.opset_import[0].version)
        content = proto.SerializeToString(deterministic=True)
        facts = {"weight_bytes": stored, "sizes": sizes, "stored_as": stored_as}
        return contract.Converted(content=content, covered=None, **facts)

    def layers(self, model, precision):
        import onnx

        weights = [] if precision is Precision.FP32 else onnx.load(model.path).graph.initializer
        sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in weights if len(tensor.dims) > 1}
        return tuple(contract.LayerGroup(name=n, layers=(n,), weights=size) for n, size in sizes.items())

    def options(self, profile, precision, threads):
        return (PACE,)

    def open(self, artifact, batch, threads, options=None):
        pace = contract.chosen(options or {}, PACE)["pace"]
        return contract.of_batch(ToySession(artifact, pace), batch)


def evaluated(path, feed):
    import onnx
    from onnx.reference import ReferenceEvaluator

    model = onnx.load(path)
    return dict(
        zip(
            [o.name for o in model.graph.output], ReferenceEvaluator(model).run(None, dict(feed)), strict=True
        )
    )


def store(proto, tensor, bits):
    """Put codes of so many bits, and a node that gives the weight back, in its place; returns their type."""
    from onnx import TensorProto, helper, numpy_helper

    if bits == 32:
        return "float32"
    name, array = tensor.name, numpy_helper.to_array(tensor)
    scale = np.array(np.abs(array).max(initial=1e-12) / (2 ** (bits - 1) - 1), np.float32)
    kind = helper.tensor_dtype_to_np_dtype(getattr(TensorProto, f"INT{bits}"))
    tensor.CopyFrom(numpy_helper.from_array(np.rint(array / scale).astype(kind), f"{name}/codes"))
    proto.graph.initializer.append(numpy_helper.from_array(scale, f"{name}/scale"))
    proto.graph.node.insert(
        0, helper.make_node("DequantizeLinear", [f"{name}/codes", f"{name}/scale"], [name])
    )
    return "float16" if bits == 16 else f"int{bits}"


class ToySession(contract.Session):
    def __init__(self, artifact, pace=PACE.default):
        import onnx
        from onnx.reference import ReferenceEvaluator

        model = onnx.load(artifact)
        told = {prop.key: prop.value for prop in model.metadata_props}
        self.precision = Precision(told["precision"])
        self.evaluator = ReferenceEvaluator(model)
        self.inputs, self.outputs = specs(model.graph.input), specs(model.graph.output)
        self.simulated_ns = 20_000 + int(told["bytes"]) // 2 * self.inputs[0].shape[0]
        self.simulated_ns //= 2 if pace == "run" else 1
        if self.precision is not Precision.FP32:  # a device on which what is compressed became slower
            self.simulated_ns = int(self.simulated_ns * float(os.environ.get("TOY_SLOWER", "1")))
        self.simulated_ns = int(self.simulated_ns * float(os.environ.get("TOY_SLOW_DEVICE", "1")))
        self.taken = {"pace": pace}

    def _run(self, feed):
        values = zip(self.outputs, self.evaluator.run(None, dict(feed)), strict=True)
        return {out.name: np.asarray(value, out.dtype) for out, value in values}

    def close(self):
        self.evaluator = None


def specs(values):
    dtypes = {1: "float32", 6: "int32", 7: "int64"}
    types = {value.name: value.type.tensor_type for value in values}
    shapes = {name: tuple(dim.dim_value for dim in tensor.shape.dim) for name, tensor in types.items()}
    return tuple(
        contract.TensorSpec(name=n, dtype=dtypes[t.elem_type], shape=shapes[n]) for n, t in types.items()
    )
