"""Typed stubs of a TensorRT version, written from its recorded signatures for a type checker to read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

SIGNATURES = Path(__file__).parent / "signatures"
VERSIONS = ("8.5.3.1", "8.6.1", "10.3.0", "10.16.1.11", "11.4.0.106")

# C++ returns a null pointer here, which Python sees as None; docstrings do not say so.
NULLABLE = {
    "Builder.build_serialized_network", "Runtime.deserialize_cuda_engine", "OnnxParser.get_error",
    "ICudaEngine.create_execution_context", "IBuilderConfig.get_timing_cache",
}  # fmt: skip
NULLABLE -= {"OnnxParser.get_error"}
# What pybind11 converts by itself, beside the type that a signature names.
CONVERTED = {"Dims": "Dims | tuple[int, ...] | list[int]", "buffer": "bytes | bytearray | memoryview"}


def recorded(version: str, module: str = "tensorrt") -> dict[str, Any]:
    """The recorded signatures of one version."""
    return json.loads((SIGNATURES / f"{module}-{version}.json").read_text())


def emit(record: dict[str, Any]) -> str:
    """The text of a stub module."""
    classes = record["classes"]
    lines = ["from collections.abc import Iterator, Mapping", "from typing import Any, overload", ""]
    lines += [f"__version__: str = {record['version']!r}", "", *_dims()]
    nested = {path for path in classes if "." in path}
    for path, content in classes.items():
        if path in nested:
            continue
        lines.append(f"class {path}:")
        if "enum" in content:
            lines += _enum(path, content["enum"], "    ")
            continue
        for inner in sorted(nested):
            owner, _, name = inner.partition(".")
            if owner == path:
                lines.append(f"    class {name}:")
                lines += _enum(name, classes[inner]["enum"], "        ")
        lines += _members(path, content["members"])
        if path == "IHostMemory":
            lines.append("    def __buffer__(self, flags: int, /) -> memoryview: ...")
    lines += _unknown("\n".join(lines), classes)
    return "\n".join(lines) + "\n"


def _dims() -> list[str]:
    return [
        "class Dims:",
        "    def __len__(self) -> int: ...",
        "    def __getitem__(self, index: int) -> int: ...",
        "    def __iter__(self) -> Iterator[int]: ...",
        "",
    ]


def _enum(name: str, values: dict[str, int], indent: str) -> list[str]:
    lines = [f"{indent}{member}: {name}" for member in values]
    lines += [f"{indent}__members__: Mapping[str, {'ILogger.' * (name == 'Severity')}{name}]"]
    lines += [f"{indent}name: str", f"{indent}def __int__(self) -> int: ...", ""]
    return [line.replace(f": {name}", ": ILogger.Severity") if name == "Severity" else line for line in lines]


def _members(owner: str, members: dict[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, content in members.items():
        if "property" in content:
            lines += ["    @property", f"    def {name}(self) -> {content['property']}: ..."]
            if content["writable"]:
                lines += [
                    f"    @{name}.setter",
                    f"    def {name}(self, value: {content['property']}) -> None: ...",
                ]
            continue
        many = len(content["overloads"]) > 1
        for signature in content["overloads"]:
            lines += ["    @overload"] * many + [_def(owner, name, signature)]
    return [*lines, ""]


def _def(owner: str, name: str, signature: dict[str, Any]) -> str:
    arguments = ["self"]
    for argument in signature["args"]:
        kind = CONVERTED.get(argument[1], argument[1])
        optional = len(argument) > 2
        kind = f"{kind} | None" if optional and argument[2] == "None" else kind
        arguments.append(f"{argument[0]}: {kind}" + (" = ..." if optional else ""))
    returns = signature["returns"] + (" | None" if f"{owner}.{name}" in NULLABLE else "")
    return f"    def {name}({', '.join(arguments)}) -> {returns}: ..."


def _unknown(text: str, classes: dict[str, Any]) -> list[str]:
    """Empty classes for types that are named but not recorded."""
    named = set(re.findall(r"(?<![\w.'])([A-Z]\w+)", re.sub(r"^\s+[A-Z]\w*: .*$", "", text, flags=re.M)))
    known = {"Iterator", "Mapping", "Any", "None", "Severity", "Dims", *classes}
    return [f"class {name}: ..." for name in sorted(named - known)]
