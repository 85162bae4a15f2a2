"""What a finalist is asked beside quality and latency, as it would be deployed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ...backends.measure.samples import Rounds
from ...profiles.errors import StageError
from ..record.evaluation import Finalist
from ..stages.chain import Chain
from ..stages.deployment.further import Subject, all_told
from ..store.store import Entry


def deployed(
    finalists: tuple[Finalist, ...],
    artifacts: Mapping[str, tuple[Entry, str]],
    measured: Rounds,
    chain: Chain,
    note: Callable[[str], None] = lambda text: None,
) -> tuple[Finalist, ...]:
    """The finalists with the answers to what the chain asks of each, one after the other. `artifacts` are by
    the names that they have in the rounds of their latencies.

    One that fails at a question keeps its other numbers; `note` says so.
    """
    return tuple(_asked(one, *artifacts[str(one.number)], measured, chain, note) for one in finalists)


def _asked(
    one: Finalist,
    compiled: Entry,
    backend: str,
    measured: Rounds,
    chain: Chain,
    note: Callable[[str], None],
) -> Finalist:
    metrics, found = dict(one.metrics), one.deployed
    for question in chain.of_finalists:
        chain.checkpoint()
        subject = Subject(
            compiled=compiled,
            backend=backend,
            rounds=measured,
            name=str(one.number),
            known=metrics,
            thorough=True,
        )
        try:
            told = all_told((question,), subject, chain.device)
        except StageError as error:
            note(f"finalist #{one.number} could not be asked further: {error.cause}")
            continue
        metrics.update(told.metrics)
        found = found.with_all_of(told.deployed)
    return replace(one, metrics=metrics, deployed=found)
