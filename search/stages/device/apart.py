"""What an artifact is asked on the device apart from its latency: in a runner of its own, kept by a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from ....backends.runner.client import RunnerClient
from ...record.setting import Setting
from ...store.store import Entry, Store, content_key
from .again import Again
from .agreement import Agreements
from .keys import told
from .runners import Runners

Ask = Callable[[RunnerClient], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Apart:
    """Asks artifacts that are loaded on the device."""

    store: Store
    runners: Runners
    agreements: Agreements
    again: Again
    announce: Callable[[str], None]

    def asked(
        self,
        stage: str,
        version: int,
        compiled: Entry,
        backend: str,
        parts: Mapping[str, Any],
        ask: Ask,
        setting: Setting | None = None,
    ) -> Entry:
        """What `ask` is told by a runner that has the artifact loaded and its feed prepared, as the `meta` of
        an entry of the store. `parts` are what the answer depends on beside artifact, device and setting;
        `version` is raised when the meaning of the answer changes.

        Raises:
            StageError: the runner failed.
        """
        deployed = self.runners.deployment
        how = setting or deployed.usual
        self.agreements.settled(compiled, backend, setting=how)
        fields = {
            "artifact": compiled.key,
            "device": deployed.device + deployed.computed_by(backend),
            "batch": how.batch,
            "threads": how.threads,
            "parts": dict(parts),
            **told(how.options),
        }

        def make(_: object) -> Mapping[str, Any]:
            self.announce(stage)
            with self.runners.lease.held(), ExitStack() as stack:
                runner, _opened, _first_ms = self.runners.opened(compiled, backend, how)
                stack.enter_context(runner)
                return dict(ask(runner))

        key = content_key(stage, version, fields)
        return self.store.produce(stage, key, {"artifact": compiled.key}, self.again.sturdy(make))
