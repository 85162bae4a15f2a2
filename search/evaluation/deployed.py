"""What a finalist is asked beside quality and latency, as it would be deployed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ...backends.measure.samples import Rounds
from ...profiles.errors import StageError
from ..record.deployed import Deployed
from ..record.evaluation import Finalist
from ..stages.chain import Chain
from ..stages.deployment.further import Subject, Told, all_told
from .confirmed import Settled


def deployed(
    finalists: tuple[Finalist, ...],
    settled: Sequence[Settled],
    measured: Rounds,
    chain: Chain,
) -> tuple[Finalist, ...]:
    """The finalists with the answers to what the chain asks of each, one after the other, as each is
    `settled` to be run.

    One that fails at a question keeps its other numbers, and says why it has none of this one's.
    """
    how = {one.number: one for one in settled}
    return tuple(_asked(one, how[one.number], measured, chain) for one in finalists)


def _asked(
    one: Finalist,
    settled: Settled,
    measured: Rounds,
    chain: Chain,
) -> Finalist:
    metrics, found = dict(one.metrics), one.deployed
    for question in chain.of_finalists:
        chain.checkpoint()
        subject = Subject(
            compiled=settled.side.contender.compiled,
            backend=settled.side.contender.backend,
            rounds=measured,
            name=settled.name,
            known=metrics,
            thorough=True,
            setting=settled.side.contender.setting,
        )
        try:
            told = all_told((question,), subject, chain.device)
        except StageError as error:
            told = Told(deployed=Deployed(untold=dict.fromkeys(question.metrics, error.cause)))
        metrics.update(told.metrics)
        found = found.with_all_of(told.deployed)
    return replace(one, metrics=metrics, deployed=found)
