"""An artifact is measured whose structure was probed with untrained weights: mostly a look confirms that."""

from __future__ import annotations

from ..record.candidate import Candidate
from ..record.protocols import Hardware
from ..stages.chain import Chain, Trace
from ..store.store import Entry

_RATIO = "latency_ratio"


def measured_after(
    probed: Hardware | None,
    chain: Chain,
    candidate: Candidate,
    compiled: Entry,
    trace: Trace,
    reference_ms: float | None,
) -> Hardware:
    """What an artifact costs on the device. Where `probed`, of the same structure, precision and runtime,
    told that already, as brief a look has to agree with it; only what does not is measured in full. Whatever
    is told comes from the artifact itself, with the interval of its own rounds. Its runner is left open."""
    if probed is not None and _RATIO in probed.metrics and not probed.doubt:
        looked = chain.measured(
            candidate, compiled, trace, reference_ms=reference_ms, probe=True, leave_open=True
        )
        if _agree(looked, probed):
            return looked
    return chain.measured(candidate, compiled, trace, reference_ms=reference_ms, leave_open=True)


def _agree(one: Hardware, other: Hardware) -> bool:
    """Whether the intervals of both ratios to the reference have a value in common."""
    (low, high), (least, most) = (each.metrics[_RATIO].ends for each in (one, other))
    return low <= most and least <= high
