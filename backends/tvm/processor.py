"""Which processor a library is compiled for: as text in a content key, and as LLVM calls it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...profiles.devices.instructions import KNOWN
from ...profiles.devices.machine import read_machine

if TYPE_CHECKING:
    from ...profiles.devices.schema import Profile

HALF = ("avx512_fp16", "asimdhp")
"""Instruction sets that compute in float16."""
_BETWEEN = " | "
_TRIPLES = {"x86-64": "x86_64-linux-gnu", "aarch64": "aarch64-linux-gnu"}
_PLAIN_CORES = {"x86-64": "x86-64", "aarch64": "generic"}
# LLVM's names of instruction sets, where they are not ours.
_FEATURES = {
    "sse4_1": "sse4.1",
    "avx_vnni": "avxvnni",
    "avx_vnni_int8": "avxvnniint8",
    "avx512_vnni": "avx512vnni",
    "avx512_bf16": "avx512bf16",
    "avx512_fp16": "avx512fp16",
    "amx_tile": "amx-tile",
    "amx_int8": "amx-int8",
    "amx_bf16": "amx-bf16",
    "amx_fp16": "amx-fp16",
    "asimdhp": "fullfp16",
    "asimddp": "dotprod",
}


@dataclass(frozen=True, kw_only=True)
class Processor:
    """What decides the machine code: architecture, the processor's name, its numeric instruction sets."""

    architecture: str
    model: str
    instruction_sets: tuple[str, ...]

    @property
    def text(self) -> str:
        """As `CompileSettings.target` has it."""
        return _BETWEEN.join((self.architecture, self.model, " ".join(self.instruction_sets)))

    def lacks(self, other: Processor) -> tuple[str, ...]:
        """What `other` has and this one has not: its architecture, or instruction sets. Empty: this one runs
        what is compiled for the other."""
        if self.architecture != other.architecture:
            return (other.architecture,)
        return tuple(name for name in other.instruction_sets if name not in self.instruction_sets)


def of_profile(profile: Profile) -> Processor | None:
    """The processor that a profile describes; None where it describes none."""
    cpu = profile.cpu
    if cpu is None:
        return None
    sets = tuple(cpu.instruction_sets)
    return Processor(architecture=cpu.architecture, model=cpu.model, instruction_sets=sets)


def of_target(target: str) -> Processor:
    """The processor that a `CompileSettings.target` names; this machine's where that is empty."""
    if not target:
        return this_one()
    architecture, _, rest = target.partition(_BETWEEN)
    model, _, sets = rest.rpartition(_BETWEEN)
    return Processor(architecture=architecture, model=model, instruction_sets=tuple(sets.split()))


def this_one() -> Processor:
    """The processor of the machine at hand."""
    found = read_machine()
    return Processor(
        architecture=found.architecture, model=found.model, instruction_sets=found.instruction_sets
    )


def llvm_target(processor: Processor, threads: int = 1) -> dict[str, Any]:
    """TVM's target for a processor; `threads` is how many run a parallel loop.

    The core is named as LLVM names it: this machine's by LLVM, another one by the name in its model
    ("Arm Cortex-A72"). Without a name, code is made for the instruction sets alone. These are said in any
    case: a hypervisor, a system or a profile may leave out what a core of that name has.
    """
    from tvm.target import Target, codegen

    triple = _TRIPLES[processor.architecture]
    if processor == this_one():
        core = str(codegen.llvm_get_system_cpu())
    else:
        known = codegen.llvm_get_cpu_archlist(Target({"kind": "llvm", "mtriple": triple}))
        core = named_core(processor.model, map(str, known))
    return {
        "kind": "llvm",
        "mtriple": triple,
        "mcpu": core or _PLAIN_CORES[processor.architecture],
        "mattr": features(processor.architecture, processor.instruction_sets),
        "num-cores": threads,
    }


def named_core(model: str, known: Iterable[str]) -> str:
    """The one core of LLVM's that a processor's model names; "" where there is none, or several kinds."""
    words = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\bzen (?=\d)", "znver", model.lower()))
    numbered = (name for name in known if re.search(r"\d", name))
    found = {name for name in numbered if re.search(rf"(^|-){re.escape(name)}(-|$)", words)}
    return found.pop() if len(found) == 1 else ""


def features(architecture: str, instruction_sets: Sequence[str]) -> list[str]:
    """LLVM's switches for all instruction sets that we know, first those that are off: one that is on brings
    along what it needs. Every 64-bit Arm processor has `neon`."""
    ours = [name for name, where in KNOWN.items() if where == architecture]
    on = [name for name in ours if name in instruction_sets or name == "neon"]
    off = [name for name in ours if name not in on]
    return [f"-{_FEATURES.get(name, name)}" for name in off] + [
        f"+{_FEATURES.get(name, name)}" for name in on
    ]
