"""Whether the runner on a board is the one that this machine's paretune would bring there."""

from __future__ import annotations

from ..runner.no_runner import READY
from ..runner.replies import Hello
from .parts import runner_digest


def runner_remark(hello: Hello) -> str:
    """What is to be said of a runner that a setup brought, where it is another one; "" where it is ours, and
    where it was installed by hand."""
    if hello.prepared in ("", runner_digest()):
        return ""
    return (
        f"the runner there, {hello.prepared}, is of another paretune than this machine's, {runner_digest()}: "
        f"{READY}"
    )
