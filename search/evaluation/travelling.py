"""The samples that travel with an artifact, taken while it is scored on test."""

from __future__ import annotations

from ..ranking.known import TEST
from ..record.candidate import Candidate
from ..record.setting import Setting
from ..stages.chain import Chain, Trace, head_of
from ..stages.device.sampled import Scoring
from ..store.store import Entry
from ..workload.workload import Array


def sampled(
    chain: Chain,
    candidate: Candidate,
    compiled: Entry,
    *,
    first: int = 0,
    setting: Setting | None = None,
    scoring: bool = False,
) -> Entry:
    """A few of the `first` samples of test (0: all) with what a candidate's artifact, run by a setting, gave
    for them. With `scoring` they are taken on the way while it is scored on all of them.

    Raises:
        StageError: it does not run, or one sample is too large to travel.
    """
    samples, digest = head_of(*chain.models.split(TEST), first)
    asked = Scoring(
        compiled=compiled,
        backend=candidate.backend,
        split=samples,
        digest=digest,
        metric=chain.models.metric,
        choice=chain.models.outputs,
        how=setting or chain.device.deployment.usual,
        instructions=chain.device.instructions_of(candidate.backend),
    )
    given: list[dict[str, Array]] = []
    if scoring:
        seen = asked.taken_into(given)
        chain.scored(candidate, compiled, Trace(), split=TEST, first=first, setting=setting, seen=seen)
    return chain.device.samples.kept(asked, *given)
