"""Records what a TensorRT wheel offers, without its libraries and without a GPU.

    python tests/trt/record_signatures.py WHEEL [WHEEL ...] [--python 3.10=/path/to/python3.10]
    python tests/trt/record_signatures.py --installed tensorrt_rtx

The bindings of a wheel (`pip download --no-deps tensorrt-cu12-bindings==10.3.0`; `tensorrt==8.5.3.1` and
`tensorrt-bindings==8.6.1` for the old ones) are loaded in a child process of the Python that they were built
for, with three or four stub libraries in place of TensorRT's own. The members, arguments and types of the
classes that the adapter uses are read off the docstrings and written to `signatures/VERSION.json`.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).parent / "signatures"

# Members that the adapter calls, or that tell versions apart; "*" records every member of an enumeration.
WANTED = {
    "ILogger": ["__init__", "log"],
    "ILogger.Severity": "*",
    "Builder": ["__init__", "create_network", "create_builder_config", "create_optimization_profile",
                "build_serialized_network", "build_engine", "platform_has_fast_fp16", "max_batch_size"],
    "INetworkDefinition": ["num_inputs", "num_outputs", "num_layers", "get_input", "get_output", "name"],
    "ITensor": ["name", "shape", "dtype"],
    "IBuilderConfig": ["set_flag", "clear_flag", "get_flag", "set_memory_pool_limit", "profiling_verbosity",
                       "create_timing_cache", "set_timing_cache", "get_timing_cache",
                       "add_optimization_profile", "num_compute_capabilities", "set_compute_capability",
                       "max_workspace_size", "int8_calibrator", "builder_optimization_level",
                       "hardware_compatibility_level"],
    "ITimingCache": ["serialize", "combine"],
    "IOptimizationProfile": ["set_shape", "get_shape"],
    "IHostMemory": ["nbytes", "dtype"],
    "OnnxParser": ["__init__", "parse", "parse_from_file", "num_errors", "get_error"],
    "ParserError": ["desc", "code", "node", "node_name", "node_operator", "func", "line"],
    "Runtime": ["__init__", "deserialize_cuda_engine"],
    "ICudaEngine": ["num_io_tensors", "get_tensor_name", "get_tensor_mode", "get_tensor_shape",
                    "get_tensor_dtype", "get_tensor_profile_shape", "num_layers", "num_optimization_profiles",
                    "create_execution_context", "create_engine_inspector", "num_bindings",
                    "get_binding_index", "device_memory_size", "device_memory_size_v2"],
    "IExecutionContext": ["set_input_shape", "set_tensor_address", "get_tensor_shape", "infer_shapes",
                          "execute_async_v3", "execute_async_v2", "execute_v2"],
    "EngineInspector": ["get_engine_information", "get_layer_information"],
    "BuilderFlag": "*", "NetworkDefinitionCreationFlag": "*", "MemoryPoolType": "*",
    "ProfilingVerbosity": "*", "TensorIOMode": "*", "LayerInformationFormat": "*", "DataType": "*",
    "ComputeCapability": "*",
}  # fmt: skip


def split_top(text: str) -> list[str]:
    """Split at commas that are outside brackets, angle brackets and quotes."""
    parts, depth, current, quote = [], 0, "", ""
    for char in text:
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([{<":
            depth += 1
        elif char in ")]}>":
            depth -= 1
        if char == "," and depth == 0 and not quote:
            parts.append(current.strip())
            current = ""
        else:
            current += char
    return [*parts, current.strip()] if current.strip() else parts


def plain_type(text: str) -> str:
    """A type of pybind11's docstrings in our small vocabulary."""
    text = re.sub(r"\b[\w.]*tensorrt[\w]*\.(?=[A-Z])", "", text.strip())
    text = re.sub(r"nv(?:infer1|onnxparser)::(?:I(?=ParserError|EngineInspector))?", "", text).replace(
        "::", "."
    )
    text = re.sub(r"\b(?:typing|typing_extensions|collections\.abc)\.", "", text)
    text = re.sub(r"\bList\b", "list", text)
    exact = {
        "SupportsInt": "int", "SupportsInt | SupportsIndex": "int", "SupportsFloat": "float",
        "Buffer": "buffer",
        "numpy.ndarray": "array", "capsule": "object", "Optional[str]": "str", "bytes": "buffer",
        "list[SupportsInt]": "list[int]", "tuple": "tuple[int, ...]", "list": "list[int]",
        "Sequence[SupportsInt]": "list[int]",
    }  # fmt: skip
    return exact.get(text, text)


def signatures(doc: str, name: str) -> list[dict[str, object]]:
    """Every overload in a pybind11 docstring, without `self`."""
    found = []
    for match in re.finditer(rf"^(?:\d+\. )?{re.escape(name)}\((.*)\)(?: -> (.+))?$", doc, re.MULTILINE):
        if match[1].startswith("*args"):
            continue
        arguments = []
        for part in split_top(match[1]):
            head, _, default = part.partition(" = ")
            arg, _, kind = head.partition(":")
            if arg not in ("self", "arg0") or (kind.strip() not in ("handle",) and arg != "self"):
                arguments.append(
                    [arg.strip(), plain_type(kind or "object"), *([default.strip()] if default else [])]
                )
        if arguments and arguments[0][0] == "arg0" and name != "__init__" and "self:" not in match[1]:
            arguments = arguments[1:]  # old pybind11 calls self arg0
        found.append({"args": arguments, "returns": plain_type(match[2] or "None")})
    return found


def member(cls: type, name: str) -> dict[str, object] | None:
    value = cls.__dict__.get(name) or getattr(cls, name, None)
    if value is None:
        return None
    if isinstance(value, property):
        doc = value.fget.__doc__ or ""
        match = re.search(r"-> (.+?)\s*$", doc.strip().splitlines()[0] if doc.strip() else "")
        kind = plain_type(match[1]) if match else "object"
        return {"property": kind, "writable": value.fset is not None}
    sigs = signatures(value.__doc__ or "", name)
    return {"overloads": sigs} if sigs else None


def describe(module: object) -> dict[str, object]:
    """What this process's module offers of `WANTED`."""
    classes: dict[str, object] = {}
    for path, members in WANTED.items():
        cls = module
        for part in path.split("."):
            cls = getattr(cls, part, None)
        if cls is None:
            continue
        if members == "*":
            classes[path] = {"enum": {k: int(v) for k, v in cls.__members__.items()}}
        else:
            found = {name: member(cls, name) for name in members}
            classes[path] = {"members": {k: v for k, v in found.items() if v}}
    return classes


def stub_libraries(binary: Path, into: Path) -> None:
    """Compile empty libraries with the names that `binary` needs and the symbols that it looks up."""
    dynamic = subprocess.run(["readelf", "-d", binary], capture_output=True, text=True, check=True).stdout
    needed = re.findall(r"NEEDED.*\[(libnv[^\]]+)\]", dynamic)
    names = subprocess.run(
        ["nm", "-D", "--undefined-only", binary], capture_output=True, text=True, check=True
    ).stdout
    own = re.compile(
        r"(create\w+_INTERNAL|get\w*PluginRegistry|getNvOnnxParserVersion|initLibNvInferPlugins|_ZN?K?\d*8?nv\w+)"
    )
    symbols = [line.split()[-1] for line in names.splitlines() if own.fullmatch(line.split()[-1])]
    source = into / "stubs.c"
    source.write_text("".join(f"void *{name}(void) {{ return 0; }}\n" for name in symbols))
    for index, library in enumerate(needed):
        # The symbols go into the first library alone: the loader searches them all.
        inputs = [source] if index == 0 else ["-x", "c", os.devnull]
        subprocess.run(
            ["gcc", "-shared", "-fPIC", f"-Wl,-soname,{library}", "-o", into / library, *inputs], check=True
        )


def record_wheel(wheel: Path, pythons: dict[str, str]) -> None:
    tag = re.search(r"-cp3(\d+)-", wheel.name)
    assert tag, f"{wheel.name} names no CPython"
    python = pythons.get(f"3.{tag[1]}", f"python3.{tag[1]}")
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if re.fullmatch(r"tensorrt\w*/tensorrt\w*\.so", n))
        into = Path(folder)
        binary = Path(archive.extract(name, into))
        stub_libraries(binary, into)
        env = {**os.environ, "LD_LIBRARY_PATH": str(into), "PYTHONPATH": str(binary.parent)}
        version = wheel.name.split("-")[1]
        subprocess.run([python, __file__, "--child", binary.stem, "--version", version], env=env, check=True)


def save(version: str, module: object, module_name: str) -> None:
    content = {"module": module_name, "version": version, "classes": describe(module)}
    HERE.mkdir(exist_ok=True)
    text = json.dumps(content, separators=(",", ":"))
    text = re.sub(r'("(?:[A-Z]\w+)(?:\.Severity)?":\{"(?:members|enum)")', r"\n\1", text)
    (HERE / f"{module_name}-{version}.json").write_text(text + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheels", nargs="*", type=Path)
    parser.add_argument("--python", action="append", default=[], metavar="X.Y=PATH")
    parser.add_argument("--installed", metavar="MODULE")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--version", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        save(options.version, __import__(options.child), "tensorrt")
    elif options.installed:
        module = __import__(options.installed)
        save(module.__version__, module, options.installed)
    for wheel in options.wheels:
        record_wheel(wheel, dict(item.split("=", 1) for item in options.python))


if __name__ == "__main__":
    sys.exit(main())
