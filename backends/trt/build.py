"""Builds a TensorRT plan from ONNX bytes, on every TensorRT from 8.5 to 11 and on TensorRT-RTX."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ...profiles.errors import StageError, UnsupportedError
from ...profiles.files import whole_file
from ...profiles.locks import locked
from .api import is_rtx, network_flags, trt
from .config import BuildOptions as BuildOptions
from .config import configure
from .engine_layers import LIST_START, LayerList, read_layer_log

LOG_LINES = 60


@dataclass
class BuildLog:
    """Messages of one build as (severity, text), oldest first, and the list of layers if one was logged."""

    messages: list[tuple[str, str]] = field(default_factory=list)
    layers: LayerList | None = None

    def of(self, *severities: str) -> list[str]:
        """Texts of the given severities ("ERROR", "WARNING", ...)."""
        return [text for severity, text in self.messages if severity in severities]

    @property
    def errors(self) -> list[str]:
        """What went wrong."""
        return self.of("ERROR", "INTERNAL_ERROR")

    def tail(self) -> str:
        """The end of the log as text."""
        return "\n".join(f"[{severity}] {text}" for severity, text in self.messages[-LOG_LINES:])


@dataclass(frozen=True, kw_only=True)
class BuildPlan:
    """A serialized engine and what the builder said: warnings, sparse layers, the list of layers if any."""

    data: bytes
    notes: tuple[str, ...]
    layers: LayerList | None


def logger_for(log: BuildLog) -> trt.ILogger:
    """A logger of TensorRT's kind that writes to `log`. Keep it as long as anything made with it."""

    class Listener(trt.ILogger):  # type: ignore[misc, unused-ignore]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)  # bindings refuse a cooperative super().__init__()

        def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
            # The most verbose level is tens of thousands of lines; two things are of use there.
            if msg.startswith(LIST_START):
                log.layers = read_layer_log(msg)
            elif severity.name != "VERBOSE" or "(Sparsity)" in msg:
                log.messages.append((severity.name, str(msg)))

    return Listener()


def build(onnx_bytes: bytes, options: BuildOptions) -> BuildPlan:
    """Parse and build.

    Raises:
        UnsupportedError: there is no GPU and this TensorRT needs one; the parser refuses the graph; a free
            axis other than the batch; a target that this TensorRT cannot build for; a type that the target
            does not have.
        StageError: the builder failed; the log has its words.
    """
    log = BuildLog()
    logger = logger_for(log)
    builder = new_builder(logger, log)
    network = builder.create_network(network_flags())
    parse(network, logger, onnx_bytes, log)
    config = builder.create_builder_config()
    configure(config, options)
    add_profile(builder, network, config, options.batches)
    with timing_cache(config, options.timing_cache):
        memory = builder.build_serialized_network(network, config)
    if memory is None:
        _refuse_device(log)
        cause = log.errors[0] if log.errors else "the builder gave no plan and no reason"
        raise StageError("compile", f"TensorRT: {cause}", log.tail())
    return BuildPlan(data=bytes(memoryview(memory)), notes=build_notes(log, options), layers=log.layers)


def _refuse_device(log: BuildLog) -> None:
    """Tell what the device cannot do apart from what went wrong."""
    for text in log.errors:
        if "Cannot compile for target" in text:
            raise UnsupportedError(f"trt: the device lacks a type of this model: {text}")


def new_builder(logger: trt.ILogger, log: BuildLog) -> trt.Builder:
    """A builder; without a usable GPU TensorRT gives none.

    Raises:
        UnsupportedError: with what TensorRT said.
    """
    try:
        return trt.Builder(logger)
    except TypeError as error:  # "factory function returned nullptr": the reason is in the log
        reason = "; ".join(log.errors) or str(error)
        raise UnsupportedError(
            f"trt: TensorRT needs a CUDA device and its driver to build: {reason}"
        ) from error


def parse(network: trt.INetworkDefinition, logger: trt.ILogger, onnx_bytes: bytes, log: BuildLog) -> None:
    """Read the graph into the network.

    Raises:
        UnsupportedError: with every complaint of the parser.
    """
    parser = trt.OnnxParser(network, logger)
    if parser.parse(onnx_bytes):
        return
    errors = [_describe(parser.get_error(index)) for index in range(parser.num_errors)]
    text = "; ".join(errors) or "; ".join(log.errors) or "no reason given"
    raise UnsupportedError(f"trt: TensorRT {trt.__version__} cannot read the model: {text}")


def _describe(error: trt.ParserError) -> str:
    if hasattr(error, "node_name") and hasattr(error, "node_operator") and error.node_name():
        return f"node {error.node_name()!r} ({error.node_operator()}): {error.desc()}"
    return f"node {error.node()}: {error.desc()}"


def add_profile(
    builder: trt.Builder,
    network: trt.INetworkDefinition,
    config: trt.IBuilderConfig,
    batches: tuple[int, int, int],
) -> None:
    """One profile for inputs whose first axis is free; static models must have the batch asked for.

    Raises:
        UnsupportedError: another axis than the first is free, or a static batch differs.
    """
    profile, free = builder.create_optimization_profile(), False
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shape = tuple(tensor.shape)
        if -1 in shape[1:]:
            raise UnsupportedError(
                f"trt: input {tensor.name!r} has free axes beside the batch ({list(shape)}); export it "
                "with fixed sizes there"
            )
        if shape and shape[0] == -1:
            low, best, high = ((size, *shape[1:]) for size in batches)
            profile.set_shape(tensor.name, low, best, high)
            free = True
        elif shape and shape[0] != batches[1]:
            raise UnsupportedError(
                f"trt: input {tensor.name!r} has the fixed batch {shape[0]}; batch {batches[1]} is wanted"
            )
    if free:
        config.add_optimization_profile(profile)


@contextlib.contextmanager
def timing_cache(config: trt.IBuilderConfig, path: Path | None) -> Iterator[None]:
    """Start a build from the kernel timings in `path`, and add its own to them afterwards."""
    if path is None:
        yield
        return
    stored = path.read_bytes() if path.exists() else b""
    cache = config.create_timing_cache(stored)
    if cache is None or not config.set_timing_cache(cache, False):
        # Timings of another device or version: TensorRT refuses them, the build starts afresh.
        config.set_timing_cache(config.create_timing_cache(b""), False)
    yield
    # The cache only saves time: a full disk must not cost the plan.
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path.with_name(f"{path.name}.lock")):
            _save_cache(config, path)


def _save_cache(config: trt.IBuilderConfig, path: Path) -> None:
    """Write the timings, together with what another process has written meanwhile."""
    ours = config.get_timing_cache()
    if ours is None:
        return
    if path.exists():
        theirs = config.create_timing_cache(path.read_bytes())
        if theirs is not None:
            ours.combine(theirs, False)
    with whole_file(path) as file:
        file.write(bytes(memoryview(ours.serialize())))


def build_notes(log: BuildLog, options: BuildOptions) -> tuple[str, ...]:
    """Sentences worth showing: warnings once each, and what became of sparse weights."""
    warnings = [text.strip() for text in log.of("WARNING") if "Make sure input" not in text]  # int64 is meant
    notes = list(dict.fromkeys(f"TensorRT warns: {text}" for text in warnings))[:8]
    if options.nm_sparsity:
        notes += sparsity_notes(log)
    return tuple(notes)


def sparsity_notes(log: BuildLog) -> list[str]:
    """How many layers could use 2:4 kernels and how many do, from the builder's "(Sparsity)" lines."""
    lines = [text for _, text in log.messages if "(Sparsity)" in text]
    found: list[str] = []
    for verb, counted, listed in (
        ("found", r"Found (\d+) layer", r"Layers eligible for sparse math:(.*)"),
        ("chose", r"Chose (\d+) layer", r"picked sparse implementation for layers:(.*)"),
    ):
        numbers = [int(m[1]) for m in (re.search(counted, line) for line in lines) if m]
        # TensorRT 8.5 lists the layers by name and gives no number.
        names = [m[1] for m in (re.search(listed, line) for line in lines) if m]
        numbers += [len([name for name in text.split(",") if name.strip()]) for text in names]
        if numbers:
            found.append(f"2:4 sparsity: TensorRT {verb} {numbers[-1]} layer(s)")
    if not found:
        who = "TensorRT-RTX" if is_rtx() else "TensorRT"
        found.append(f"2:4 sparsity: allowed; {who} does not say which layers use it")
    return found
