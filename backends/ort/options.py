"""What ONNX Runtime can be told about a model, and what it then says that it has taken."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from ...profiles.precision import Precision
from ..contract.options import Options, RuntimeOption, chosen
from ..onnx_graph.session import SPINS

OPTIMIZATION = RuntimeOption(
    name="graph_optimization",
    values=("disable", "basic", "extended", "all"),
    default="all",
    does="how far ONNX Runtime rewrites the graph when it loads it",
)
ARENA = RuntimeOption(
    name="memory_arena",
    values=("on", "off"),
    default="on",
    does="whether memory of tensors is kept for the next run",
)
PATTERN = RuntimeOption(
    name="memory_pattern",
    values=("on", "off"),
    default="on",
    does="whether all memory of a run is laid out beforehand, in one piece",
)
SPINNING = RuntimeOption(
    name="spinning",
    values=("off", "on"),
    default="off",
    does="whether threads wait for work on the processor in place of sleeping",
)
EXECUTION = RuntimeOption(
    name="execution_mode",
    values=("sequential", "parallel"),
    default="sequential",
    does="whether operators that do not need each other run at the same time",
)
OPSET = RuntimeOption(
    name="opset",
    values=("exported", "21", "23"),
    default="exported",
    does="the version of ONNX's operators that the model is converted to before it is compiled",
    when="compile",
    exact=False,
)
_ALSO_SPINS = "session.inter_op.allow_spinning"
_AT_OPENING = (OPTIMIZATION, ARENA, PATTERN, SPINNING, EXECUTION)
_OF_THREADS = (SPINNING, EXECUTION)
_EXACT = (Precision.FP32, Precision.FP16)
"""Here fusions only change the order of sums. Elsewhere they decide which operators compute in integers."""
_LEVELS: Mapping[str, str] = MappingProxyType(
    {
        "disable": "ORT_DISABLE_ALL",
        "basic": "ORT_ENABLE_BASIC",
        "extended": "ORT_ENABLE_EXTENDED",
        "all": "ORT_ENABLE_ALL",
    }
)


def offered(precision: Precision, threads: int) -> tuple[RuntimeOption, ...]:
    """What can be told of a model at this precision; threads that are alone wait for nobody."""
    at_opening = _AT_OPENING if threads > 1 else tuple(one for one in _AT_OPENING if one not in _OF_THREADS)
    exact = precision in _EXACT
    found = tuple(replace(one, exact=exact) if one is OPTIMIZATION else one for one in at_opening)
    return found if precision is Precision.GIVEN else (*found, OPSET)


def telling(options: Options, threads: int) -> Callable[[Any, Any], None]:
    """What tells a session these options, for `OrtSession`.

    Raises:
        UnsupportedError: there is no such option or value.
    """
    how = chosen(options, *_AT_OPENING)
    spins = str(int(how[SPINNING.name] == "on"))

    def told(runtime: Any, said: Any) -> None:
        level = _LEVELS[how[OPTIMIZATION.name]]
        said.graph_optimization_level = getattr(runtime.GraphOptimizationLevel, level)
        said.enable_cpu_mem_arena = how[ARENA.name] == "on"
        said.enable_mem_pattern = how[PATTERN.name] == "on"
        said.add_session_config_entry(SPINS, spins)
        if how[EXECUTION.name] == "parallel":
            said.execution_mode = runtime.ExecutionMode.ORT_PARALLEL
            said.inter_op_num_threads = threads
            # These threads spin by themselves, for cores that the others compute on: 5 to 20 times slower.
            said.add_session_config_entry(_ALSO_SPINS, spins)

    return told


def taken(said: Any) -> dict[str, str]:
    """The values that a session's own options tell."""
    level = str(said.graph_optimization_level).rpartition(".")[2]
    levels = {theirs: ours for ours, theirs in _LEVELS.items()}
    return {
        **({OPTIMIZATION.name: levels[level]} if level in levels else {}),
        ARENA.name: _on(said.enable_cpu_mem_arena),
        PATTERN.name: _on(said.enable_mem_pattern),
        SPINNING.name: _on(said.get_session_config_entry(SPINS) == "1"),
        EXECUTION.name: str(said.execution_mode).rpartition("_")[2].lower(),
    }


def _on(flag: Any) -> str:
    return "on" if flag else "off"
