"""A `tensorrt` module that has what one version has and refuses everything else.

Built from recorded signatures: a member that the version lacks raises AttributeError, arguments that it would
not take raise TypeError. Behind the calls: engines are ONNX graphs run by ONNX Runtime, and device addresses
are host addresses (the driver is a small C library that the tests compile).
"""

from __future__ import annotations

import ctypes
import enum
import json
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

NEWEST_OPSET = {"8": 17, "10.3": 21, "10.16": 24, "11": 24}
_ELEMENT = {
    onnx.TensorProto.FLOAT: "FLOAT", onnx.TensorProto.FLOAT16: "HALF", onnx.TensorProto.INT64: "INT64",
    onnx.TensorProto.INT32: "INT32", onnx.TensorProto.BOOL: "BOOL",
}  # fmt: skip
_NUMPY = {"FLOAT": "float32", "HALF": "float16", "INT64": "int64", "INT32": "int32", "BOOL": "bool"}


def fake_tensorrt(record: dict[str, Any], *, device: bool = True) -> types.ModuleType:
    """The module. `device` False behaves like a machine without a driver."""
    module = types.ModuleType(record["module"])
    module.__version__ = record["version"]  # type: ignore[attr-defined]
    world = _World(module, record, device)
    for path, content in record["classes"].items():
        owner, _, inner = path.rpartition(".")
        made = (
            _enum(inner, content["enum"]) if "enum" in content else world.make_class(path, content["members"])
        )
        setattr(getattr(module, owner) if owner else module, inner, made)
    return module


def _enum(name: str, values: dict[str, int]) -> type[enum.IntEnum]:
    return enum.IntEnum(name, values)  # type: ignore[return-value]


class _World:
    """Checks calls against the record and hands them to `_Behaviour`."""

    def __init__(self, module: types.ModuleType, record: dict[str, Any], device: bool) -> None:
        self.module, self.record, self.device = module, record, device
        self.version = record["version"]
        self.newest_opset = next(v for k, v in NEWEST_OPSET.items() if self.version.startswith(f"{k}."))
        self.flagged = hasattr_enum(record, "BuilderFlag", "INT8")
        self.wide = hasattr_enum(record, "DataType", "INT64")

    def make_class(self, name: str, members: dict[str, Any]) -> type:
        space: dict[str, Any] = {}
        for member, content in members.items():
            space[member] = (
                self._property(name, member, content)
                if "property" in content
                else self._method(name, member, content["overloads"])
            )
        if "__init__" not in members and name != "IHostMemory":
            space["__init__"] = _no_constructor
        # Host memory answers to the buffer protocol, like the real one.
        return type(name, (bytes,) if name == "IHostMemory" else (), space)

    def new(self, name: str, /, **state: Any) -> Any:
        cls = getattr(self.module, name)
        made = cls.__new__(cls)
        made.__dict__.update(state)
        return made

    def memory(self, data: bytes) -> Any:
        return self.module.IHostMemory(data)

    def _property(self, owner: str, name: str, content: dict[str, Any]) -> property:
        def get(this: Any) -> Any:
            behaviour = getattr(_Behaviour, f"{owner}_{name}", None)
            return behaviour(self, this) if behaviour else this.__dict__.get(name)

        def put(this: Any, value: Any) -> None:
            if not self.accepts(content["property"], value):
                raise TypeError(f"{owner}.{name} does not take {value!r}")
            this.__dict__[name] = value

        return property(get, put if content["writable"] else None)

    def _method(self, owner: str, name: str, overloads: list[dict[str, Any]]) -> Callable[..., Any]:
        def call(this: Any, *arguments: Any) -> Any:
            if not any(self._fits(overload["args"], arguments) for overload in overloads):
                raise TypeError(f"{owner}.{name}(): incompatible function arguments: {arguments!r}")
            return getattr(_Behaviour, f"{owner}_{name}")(self, this, *arguments)

        return call

    def _fits(self, wanted: list[list[str]], given: tuple[Any, ...]) -> bool:
        needed = sum(1 for argument in wanted if len(argument) == 2)
        kinds = [argument[1] for argument in wanted]
        return needed <= len(given) <= len(wanted) and all(map(self.accepts, kinds, given))

    def accepts(self, kind: str, value: Any) -> bool:
        if kind in ("int", "bool", "str"):
            exact = {"int": (int, np.integer), "bool": (bool,), "str": (str,)}[kind]
            return isinstance(value, exact) and not (kind == "int" and isinstance(value, (bool, enum.Enum)))
        if kind == "buffer":
            return isinstance(value, (bytes, bytearray, memoryview))
        if kind in ("Dims", "tuple[int, ...]", "list[int]"):
            fits = {"tuple[int, ...]": tuple, "list[int]": list}.get(kind, (tuple, list))
            return isinstance(value, fits) and all(self.accepts("int", size) for size in value)
        cls: Any = self.module
        for part in kind.split("."):
            cls = getattr(cls, part, None)
        if cls is None or not isinstance(value, cls):
            return False
        # pybind11 refuses a Python subclass that did not call the constructor of its base.
        return kind != "ILogger" or "_constructed" in value.__dict__

    def say(self, logger: Any, severity: str, text: str) -> None:
        logger.log(getattr(self.module.ILogger.Severity, severity), text)


def hasattr_enum(record: dict[str, Any], name: str, member: str) -> bool:
    return member in record["classes"].get(name, {"enum": {}})["enum"]


def _no_constructor(this: Any, *arguments: Any) -> None:
    raise TypeError(f"{type(this).__name__}: No constructor defined!")


class _Behaviour:
    """What each call does: `Class_member(world, self, ...)`."""

    @staticmethod
    def ILogger___init__(world: _World, this: Any) -> None:
        this.__dict__["_constructed"] = True

    # -- building ---------------------------------------------------------------------------------------

    @staticmethod
    def Builder___init__(world: _World, this: Any, logger: Any) -> None:
        if not world.device:
            world.say(logger, "ERROR", "CUDA initialization failure with error: 35")
            raise TypeError("pybind11::init(): factory function returned nullptr")
        this.__dict__.update(logger=logger)

    @staticmethod
    def Builder_create_network(world: _World, this: Any, flags: int = 0) -> Any:
        known = {int(v): k for k, v in world.module.NetworkDefinitionCreationFlag.__members__.items()}
        names = {known[bit] for bit in range(flags.bit_length()) if flags >> bit & 1}  # KeyError: unknown bit
        strong = not world.flagged or "STRONGLY_TYPED" in names
        explicit = not world.version.startswith("8.") or "EXPLICIT_BATCH" in names
        return world.new("INetworkDefinition", strong=strong, explicit=explicit, model=None)

    @staticmethod
    def Builder_create_builder_config(world: _World, this: Any) -> Any:
        flags = {world.module.BuilderFlag.TF32}
        return world.new("IBuilderConfig", flags=flags, profiles=[], cache=None, pools={})

    @staticmethod
    def Builder_create_optimization_profile(world: _World, this: Any) -> Any:
        return world.new("IOptimizationProfile", shapes={})

    @staticmethod
    def Builder_build_serialized_network(world: _World, this: Any, network: Any, config: Any) -> Any:
        problem = _build_problem(world, network, config)
        if problem:
            world.say(this.logger, "ERROR", problem)
            return None
        if world.module.BuilderFlag.SPARSE_WEIGHTS in config.flags:
            if world.version.startswith("8.5"):
                world.say(this.logger, "INFO", "(Sparsity) Layers eligible for sparse math: a, b")
                world.say(
                    this.logger,
                    "INFO",
                    "(Sparsity) TRT inference plan picked sparse implementation for layers: b",
                )
            else:
                world.say(
                    this.logger, "INFO", "(Sparsity) Found 2 layer(s) eligible to use sparse tactics: a, b"
                )
                world.say(this.logger, "INFO", "(Sparsity) Chose 1 layer(s) using sparse tactics: b")
        if config.cache is not None:
            config.cache.__dict__["entries"].add(str(len(network.model)))
        profile = config.profiles[0].shapes if config.profiles else {}
        head = {"version": world.version, "profile": profile, "flags": sorted(f.name for f in config.flags)}
        head["level"] = config.__dict__.get("builder_optimization_level", 3)
        return world.memory(json.dumps(head).encode() + b"\n" + network.model)

    @staticmethod
    def INetworkDefinition_num_inputs(world: _World, this: Any) -> int:
        return len(this.tensors)

    @staticmethod
    def INetworkDefinition_get_input(world: _World, this: Any, index: int) -> Any:
        name, shape, dtype = this.tensors[index]
        return world.new("ITensor", name=name, shape=shape, dtype=dtype)

    @staticmethod
    def IBuilderConfig_set_flag(world: _World, this: Any, flag: Any) -> None:
        this.flags.add(flag)

    @staticmethod
    def IBuilderConfig_clear_flag(world: _World, this: Any, flag: Any) -> None:
        this.flags.discard(flag)

    @staticmethod
    def IBuilderConfig_set_memory_pool_limit(world: _World, this: Any, pool: Any, size: int) -> None:
        this.pools[pool] = size

    @staticmethod
    def IBuilderConfig_add_optimization_profile(world: _World, this: Any, profile: Any) -> int:
        this.profiles.append(profile)
        return len(this.profiles) - 1

    @staticmethod
    def IBuilderConfig_create_timing_cache(world: _World, this: Any, data: bytes) -> Any:
        content = json.loads(bytes(data)) if data else {"version": world.version, "entries": []}
        return world.new("ITimingCache", version=content["version"], entries=set(content["entries"]))

    @staticmethod
    def IBuilderConfig_set_timing_cache(world: _World, this: Any, cache: Any, ignore: bool) -> bool:
        if cache.version != world.version and not ignore:
            return False
        this.__dict__["cache"] = cache
        return True

    @staticmethod
    def IBuilderConfig_get_timing_cache(world: _World, this: Any) -> Any:
        return this.cache

    @staticmethod
    def ITimingCache_serialize(world: _World, this: Any) -> Any:
        return world.memory(json.dumps({"version": this.version, "entries": sorted(this.entries)}).encode())

    @staticmethod
    def ITimingCache_combine(world: _World, this: Any, other: Any, ignore: bool) -> bool:
        if other.version != this.version and not ignore:
            return False
        this.entries.update(other.entries)
        return True

    @staticmethod
    def IOptimizationProfile_set_shape(
        world: _World, this: Any, name: str, low: Any, best: Any, high: Any
    ) -> None:
        if not all(a <= b <= c for a, b, c in zip(low, best, high, strict=True)):
            raise ValueError(f"Shape provided for {name} is inconsistent with other shapes")
        this.shapes[name] = [list(low), list(best), list(high)]

    # -- parsing ----------------------------------------------------------------------------------------

    @staticmethod
    def OnnxParser___init__(world: _World, this: Any, network: Any, logger: Any) -> None:
        this.__dict__.update(network=network, logger=logger, errors=[])

    @staticmethod
    def OnnxParser_parse(world: _World, this: Any, data: bytes, path: str | None = None) -> bool:
        model = onnx.load_from_string(bytes(data))
        this.errors.extend(_parse_problems(world, this.network, model))
        if this.errors:
            return False
        constants = {tensor.name for tensor in model.graph.initializer}
        this.network.__dict__["model"] = bytes(data)
        this.network.__dict__["tensors"] = [
            (value.name, _shape(value), _engine_dtype(world, value))
            for value in model.graph.input
            if value.name not in constants
        ]
        return True

    @staticmethod
    def OnnxParser_num_errors(world: _World, this: Any) -> int:
        return len(this.errors)

    @staticmethod
    def OnnxParser_get_error(world: _World, this: Any, index: int) -> Any:
        return world.new("ParserError", index=index, text=this.errors[index])

    @staticmethod
    def ParserError_desc(world: _World, this: Any) -> str:
        return this.text

    @staticmethod
    def ParserError_node(world: _World, this: Any) -> int:
        return this.index

    @staticmethod
    def ParserError_node_name(world: _World, this: Any) -> str:
        return f"node_{this.index}"

    @staticmethod
    def ParserError_node_operator(world: _World, this: Any) -> str:
        return "SomeOp"

    # -- running ----------------------------------------------------------------------------------------

    @staticmethod
    def Runtime___init__(world: _World, this: Any, logger: Any) -> None:
        this.__dict__.update(logger=logger)

    @staticmethod
    def Runtime_deserialize_cuda_engine(world: _World, this: Any, data: bytes) -> Any:
        line, _, model_bytes = bytes(data).partition(b"\n")
        head = json.loads(line)
        if head["version"] != world.version:
            world.say(
                this.logger, "ERROR", "The engine plan file is not compatible with this version of TensorRT"
            )
            return None
        model = onnx.load_from_string(model_bytes)
        constants = {tensor.name for tensor in model.graph.initializer}
        inputs = [v for v in model.graph.input if v.name not in constants]
        tensors = {v.name: (True, _shape(v), _engine_dtype(world, v)) for v in inputs}
        tensors |= {v.name: (False, _shape(v), _engine_dtype(world, v)) for v in model.graph.output}
        return world.new(
            "ICudaEngine", tensors=tensors, model=model, head=head, num_layers=len(model.graph.node),
            num_optimization_profiles=1, session=_session(model),
        )  # fmt: skip

    @staticmethod
    def ICudaEngine_num_io_tensors(world: _World, this: Any) -> int:
        return len(this.tensors)

    @staticmethod
    def ICudaEngine_get_tensor_name(world: _World, this: Any, index: int) -> str:
        return list(this.tensors)[index]

    @staticmethod
    def ICudaEngine_get_tensor_mode(world: _World, this: Any, name: str) -> Any:
        mode = world.module.TensorIOMode
        return mode.INPUT if this.tensors[name][0] else mode.OUTPUT

    @staticmethod
    def ICudaEngine_get_tensor_shape(world: _World, this: Any, name: str) -> tuple[int, ...]:
        return this.tensors[name][1]

    @staticmethod
    def ICudaEngine_get_tensor_dtype(world: _World, this: Any, name: str) -> Any:
        return this.tensors[name][2]

    @staticmethod
    def ICudaEngine_get_tensor_profile_shape(world: _World, this: Any, name: str, index: int) -> Any:
        return [tuple(shape) for shape in this.head["profile"][name]]

    @staticmethod
    def ICudaEngine_create_execution_context(world: _World, this: Any, *strategy: Any) -> Any:
        return world.new("IExecutionContext", engine=this, batch={}, addresses={})

    @staticmethod
    def ICudaEngine_create_engine_inspector(world: _World, this: Any) -> Any:
        return world.new("EngineInspector", engine=this)

    @staticmethod
    def EngineInspector_get_engine_information(world: _World, this: Any, form: Any) -> str:
        kind = "Datatype" if world.version.startswith("11.") else "Format/Datatype"
        layers = [
            {"Name": node.name, "Outputs": [{"Name": node.output[0], kind: "Half"}]}
            for node in this.engine.model.graph.node
        ]
        edges = "I/O Tensors" if world.version.startswith("11.") else "Bindings"
        return json.dumps({"Layers": layers, edges: []})

    @staticmethod
    def IExecutionContext_set_input_shape(world: _World, this: Any, name: str, shape: Any) -> bool:
        low, _, high = this.engine.head["profile"][name]
        if not all(a <= b <= c for a, b, c in zip(low, shape, high, strict=True)):
            return False
        this.batch[name] = shape[0]
        return True

    @staticmethod
    def IExecutionContext_get_tensor_shape(world: _World, this: Any, name: str) -> tuple[int, ...]:
        shape = this.engine.tensors[name][1]
        return tuple(next(iter(this.batch.values()), -1) if size == -1 else size for size in shape)

    @staticmethod
    def IExecutionContext_set_tensor_address(world: _World, this: Any, name: str, address: int) -> bool:
        this.addresses[name] = address
        return name in this.engine.tensors and address != 0

    @staticmethod
    def IExecutionContext_execute_async_v3(world: _World, this: Any, stream: int) -> bool:
        engine = this.engine
        if set(this.addresses) != set(engine.tensors) or stream == 0:
            return False
        feed = {}
        for value in engine.session.get_inputs():
            array = _at(this, world, value.name)
            feed[value.name] = array.astype("int64") if value.type == "tensor(int64)" else array.copy()
        for value, array in zip(engine.session.get_outputs(), engine.session.run(None, feed), strict=True):
            _at(this, world, value.name)[...] = array
        return True


def _at(context: Any, world: _World, name: str) -> np.ndarray:
    """The memory behind a tensor's address, as an array of the engine's type."""
    dtype = np.dtype(_NUMPY[context.engine.tensors[name][2].name])
    shape = _Behaviour.IExecutionContext_get_tensor_shape(world, context, name)
    size = int(np.prod(shape)) * dtype.itemsize
    raw = (ctypes.c_uint8 * size).from_address(context.addresses[name])
    return np.frombuffer(raw, dtype=dtype).reshape(shape)


def _shape(value: onnx.ValueInfoProto) -> tuple[int, ...]:
    return tuple(d.dim_value if d.HasField("dim_value") else -1 for d in value.type.tensor_type.shape.dim)


def _engine_dtype(world: _World, value: onnx.ValueInfoProto) -> Any:
    name = _ELEMENT[value.type.tensor_type.elem_type]
    # TensorRT 8 has no int64: its parser makes the tensor int32.
    return getattr(world.module.DataType, "INT32" if name == "INT64" and not world.wide else name)


def _session(model: onnx.ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.log_severity_level = 3
    # Fusions would merge pairs into CPU kernels that lack fp8.
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = _without_bfloat16(model)
    return ort.InferenceSession(plain.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _without_bfloat16(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with bfloat16 constants as float32: ONNX Runtime has no bfloat16 kernels on the CPU."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == onnx.TensorProto.BFLOAT16:
                attribute.i = onnx.TensorProto.FLOAT
    held = [
        attribute.t for node in copy.graph.node for attribute in node.attribute if attribute.HasField("t")
    ]
    for tensor in (*copy.graph.initializer, *held):
        if tensor.data_type == onnx.TensorProto.BFLOAT16:
            values = onnx.numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    return copy


def _parse_problems(world: _World, network: Any, model: onnx.ModelProto) -> list[str]:
    """What the parser of this version would refuse (see the reference of its ONNX parser)."""
    problems = []
    opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset > world.newest_opset:
        problems.append(f"operator set {opset} is newer than {world.newest_opset}")
    if not network.explicit:
        problems.append("This version of the ONNX parser only supports networks with an explicit batch")
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    if not world.wide and onnx.TensorProto.FLOAT8E4M3FN in kinds.values():
        problems.append("unsupported data type float8")
    if not hasattr(world.module.DataType, "INT4") and onnx.TensorProto.INT4 in kinds.values():
        problems.append("unsupported data type int4")
    if not network.strong and {onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16} & set(kinds.values()):
        problems.append("our weakly typed builds hand over float32 graphs")
    for node in model.graph.node:
        if node.op_type == "NoSuchOp":
            problems.append(f"no importer registered for op: {node.op_type}")
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) < 3:
            problems.append("Assertion failed: inputs.size() == 3")
    return problems


def _build_problem(world: _World, network: Any, config: Any) -> str:
    """What the builder of this version would refuse."""
    names = {flag.name for flag in config.flags}
    precision = names & {"FP16", "BF16", "INT8", "FP8", "INT4"}
    if network.strong and precision:
        return f"Cannot set precision flags {sorted(precision)} for a strongly typed network"
    model = onnx.load_from_string(network.model)
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    zeros = {kinds[node.input[2]] for node in model.graph.node if node.op_type == "QuantizeLinear"}
    if not network.strong and onnx.TensorProto.INT8 in zeros and "INT8" not in names:
        return "Networks with Q/DQ layers need the INT8 flag"
    if not network.strong and onnx.TensorProto.FLOAT8E4M3FN in zeros and "FP8" not in names:
        return "Networks with FP8 Q/DQ layers need the FP8 flag"
    if any(-1 in shape for _, shape, _ in network.tensors) and not config.profiles:
        return "Network has dynamic or shape inputs, but no optimization profile has been defined."
    return ""
