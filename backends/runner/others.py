"""Questions to a runner that need nothing of an open session, each answered by the room whose subject it is.

Most runners are asked none of them: what answers is loaded with the first question of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..lease.warden import OPERATIONS as LEASE_OPERATIONS

Body = Mapping[str, Any]


def _cores(body: Body) -> Body:
    from ..measure.core_speeds import told

    return told(body)


def _runtime(body: Body) -> Body:
    from .runtime_alone import told_of_runtime

    return told_of_runtime(body)


def _meters(body: Body) -> Body:
    from ..energy.told import meters

    return meters(body)


def _space(body: Body) -> Body:
    from ..measure.space import space

    return space(body)


def _state(body: Body) -> Body:
    from ..watch.watcher import told

    return told(body)


def _work(body: Body) -> Body:
    from ..measure.fixed_work import timed_work

    return timed_work(body)


OTHERS: Mapping[str, Callable[[Body], Body]] = {
    **LEASE_OPERATIONS,
    "cores": _cores,
    "runtime": _runtime,
    "meters": _meters,
    "space": _space,
    "state": _state,
    "work": _work,
}
"""By the name of the operation: from the body of a request to that of its answer."""
