"""The workers that a command line or a call asks for."""

from __future__ import annotations

from ...profiles.errors import UserError
from ...profiles.text.hosts import scheduler_address
from ...profiles.text.named import refused_at
from ..job.workers_section import MOST_WORKERS, WorkersSection


def wanted_workers(count: int | None, cluster: str | None) -> WorkersSection | None:
    """None where neither is asked for.

    Raises:
        UserError: both are, there are too many, or no scheduler can have that address.
    """
    if count is not None and cluster is not None:
        raise UserError(
            "workers are started here, or are those of a cluster",
            place="--workers and --cluster",
            found=f"{count} and {cluster}",
            accepted="one of the two",
        )
    if count is not None and (type(count) is not int or not 1 <= count <= MOST_WORKERS):
        raise UserError(
            "so many workers cannot be started on one machine",
            place="--workers",
            found=str(count),
            accepted=f"1 to {MOST_WORKERS}",
        )
    if cluster is not None:
        with refused_at("--cluster"):
            scheduler_address(cluster)
    return None if count is None and cluster is None else WorkersSection(count=count, cluster=cluster)
