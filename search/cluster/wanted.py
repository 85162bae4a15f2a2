"""The workers that a command line or a call asks for."""

from __future__ import annotations

from ...profiles.errors import UserError
from ..job.workers_section import MOST_WORKERS, WorkersSection


def wanted_workers(count: int | None, cluster: str | None) -> WorkersSection | None:
    """None where neither is asked for.

    Raises:
        UserError: both are, or there are too many.
    """
    if count is not None and cluster is not None:
        raise UserError(
            "workers are started here, or are those of a cluster",
            place="--workers and --cluster",
            found=f"{count} and {cluster}",
            accepted="one of the two",
        )
    if count is not None and not 1 <= count <= MOST_WORKERS:
        raise UserError(
            "so many workers cannot be started on one machine",
            place="--workers",
            found=str(count),
            accepted=f"1 to {MOST_WORKERS}",
        )
    return None if count is None and cluster is None else WorkersSection(count=count, cluster=cluster)
