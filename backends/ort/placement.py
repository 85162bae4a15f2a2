"""Where ONNX Runtime runs the nodes of a model: its profile beside the graph that it really runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..contract.integers import QdqStep, between
from ..contract.placement import UNSAID, ModelPlacement, NodePlacement, shares_of_time
from ..onnx_graph.written import WrittenGraph, WrittenNode, read_graph

RUNS = 4
"""Of a profiled session; the first one is not counted, it also prepares."""
_OPENS, _CLOSES = "DequantizeLinear", "QuantizeLinear"
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "FusedConv", "FusedGemm", "FusedMatMul")
_LAYOUT = ("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Identity", "Shape", "Cast")
_FLOATS = ("float", "float16", "double", "bfloat16")
_CAST = "InsertedPrecisionFreeCast"
"""What casts are called that ONNX Runtime puts around nodes that it has no kernel for in 16 bits."""
_HALVES = {10, 16}
"""float16 and bfloat16, as ONNX numbers types."""
_SUFFIX = "_kernel_time"


@dataclass
class Ran:
    """What a profile says of a node: who ran it, the types that it read, and the microseconds that it took
    in each run, without those of nodes that ran within it."""

    name: str
    operator: str
    provider: str
    types: tuple[str, ...]
    times: list[float] = field(default_factory=list)


def means_low(graph: WrittenGraph, inputs: Collection[str]) -> bool:
    """Whether a file means anything in less than float32: else nothing can run otherwise than meant on the
    provider that was asked for. `inputs` are the types of its inputs."""
    halves = "float16" in inputs or not _HALVES.isdisjoint(graph.types)
    return halves or any(node.operator == _OPENS for node in graph.nodes)


def read_placement(profile: Path, optimized: Path | None, provider: str) -> ModelPlacement:
    """All nodes that ran, in their order. `provider` is the one that was asked to run them, `optimized` the
    graph that it really runs, where the file means less than float32."""
    ran = ran_nodes(json.loads(profile.read_text(encoding="utf-8")))
    in_float = {node.name for node in ran if _in_float(node)}
    why = reasons(read_graph(optimized), in_float) if optimized else {}
    shares = shares_of_time([sum(node.times) for node in ran])
    nodes = []
    for node, share in zip(ran, shares, strict=True):
        reason = (
            why.get(node.name, "") if node.provider == provider else f"{provider} does not take it; {UNSAID}"
        )
        nodes.append(
            NodePlacement(
                name=node.name,
                op=node.operator,
                kernel=f"{node.operator} ({node.types[0] if node.types else 'no input'})",
                place=node.provider,
                intended=not reason,
                reason=reason,
                share_of_time=share,
            )
        )
    return ModelPlacement(intended=f"{provider}, in integers where the file has them", nodes=tuple(nodes))


def ran_nodes(events: Iterable[Mapping[str, Any]]) -> list[Ran]:
    """What a profile has of each node, without the first run."""
    told = [event for event in events if event.get("cat") in ("Node", "Session")]
    starts = [event["ts"] for event in told if event["name"] == "model_run"]
    begin = min(starts[1:], default=0)
    found: dict[tuple[str, str], Ran] = {}
    open_until: dict[int, list[tuple[float, Ran]]] = {}
    for event in sorted(filter(_of_node, told), key=lambda event: (event["ts"], -event["dur"])):
        if event["ts"] < begin:
            continue
        name, args = event["name"].removesuffix(_SUFFIX), event["args"]
        node = found.setdefault(
            (name, args.get("node_index", "")), Ran(name, args["op_name"], args["provider"], _types(args))
        )
        node.times.append(event["dur"])
        ends = event["ts"] + event["dur"]
        around = [(end, outer) for end, outer in open_until.get(event.get("tid", 0), ()) if ends <= end]
        if around:  # it ran within another node of this thread, say a branch of an If
            around[-1][1].times.append(-event["dur"])
        open_until[event.get("tid", 0)] = [*around, (ends, node)]
    return list(found.values())


def _of_node(event: Mapping[str, Any]) -> bool:
    return event["cat"] == "Node" and str(event["name"]).endswith(_SUFFIX)


def _types(args: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(kind for one in args.get("input_type_shape", ()) for kind in one)


def _in_float(node: Ran) -> bool:
    return bool(node.types) and node.types[0] in _FLOATS


def reasons(graph: WrittenGraph, in_float: set[str]) -> dict[str, str]:
    """Of nodes that compute in float, by name, why the file means others: those that stand between
    DequantizeLinear and QuantizeLinear; products whose weights are dequantized as they run; those around
    which ONNX Runtime put casts. Nodes that only change the layout compute nothing."""
    nodes = [node for node in graph.nodes if node.operator not in _LAYOUT and node.name in in_float]
    inside = between([_step(node, graph) for node in graph.nodes])
    made_by = {name: node for node in graph.nodes for name in node.outputs}
    return {node.name: said for node in nodes if (said := _reason(node, graph, made_by, inside))}


def _reason(
    node: WrittenNode, graph: WrittenGraph, made_by: Mapping[str, WrittenNode], inside: set[str]
) -> str:
    makers = [made_by[name] for name in node.inputs if name in made_by]
    if any(maker.name.startswith(_CAST) for maker in makers):
        return f"ONNX Runtime has no 16-bit kernel for {node.operator} there: it puts casts around it"
    if node.operator in (_OPENS, _CLOSES):
        return ""
    if node.name in inside:
        return f"no integer kernel took its place: in float between {_OPENS} and {_CLOSES}; {UNSAID}"
    weights = [maker for maker in makers[1:] if maker.operator == _OPENS]
    if node.operator in _PRODUCTS and any(graph.constants.issuperset(one.inputs) for one in weights):
        return f"its weights are dequantized at every run, and it runs in float; {UNSAID}"
    return ""


def _step(node: WrittenNode, graph: WrittenGraph) -> QdqStep:
    weight = node.inputs[1] if node.operator in _PRODUCTS and len(node.inputs) > 1 else ""
    return QdqStep(
        name=node.name,
        inputs=tuple(name for name in node.inputs if name and name not in graph.constants),
        outputs=node.outputs,
        opens=node.operator == _OPENS,
        closes=node.operator == _CLOSES,
        kept=weight in graph.constants,
    )
