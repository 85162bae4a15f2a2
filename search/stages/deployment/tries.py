"""Settings of artifacts measured against each other, kept by a key: an interrupted study goes on there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ....backends.measure.samples import LatencyPlan, Rounds
from ...record.setting import Setting
from ...store.store import Entry, content_key
from ..device.a_a import ROUNDS_FILE, read_rounds
from ..device.stages import DeviceStages

_STAGE, _VERSION = "options", 1


@dataclass(frozen=True, kw_only=True)
class Deployable:
    """An artifact as it would be run."""

    compiled: Entry
    backend: str
    setting: Setting


def raced(
    device: DeviceStages,
    contenders: Mapping[str, Deployable],
    plan: LatencyPlan,
    said: str,
    *,
    kept: bool = False,
    memory: bool = False,
) -> Rounds:
    """All of them in the same rounds, by their names there; `kept` in the store, from which the same question
    is answered the next time. `said` is what progress shows meanwhile; with `memory` they are asked what they
    take, too.

    Raises:
        StageError: none of them runs, or the reference does not.
    """
    artifacts = {name: (one.compiled, one.backend) for name, one in contenders.items()}
    settings = {name: one.setting for name, one in contenders.items()}

    def measured() -> Rounds:
        return device.interleaved(artifacts, plan, settings, said, memory=memory)

    def make(into: Path) -> Mapping[str, Any]:
        (into / ROUNDS_FILE).write_text(json.dumps(measured().to_json()))
        return {}

    if not kept:
        return measured()
    where = device.deployment.device + device.deployment.computed_by(*{b for _, b in artifacts.values()})
    fields = {
        "contenders": {name: [one.compiled.key, asdict(one.setting)] for name, one in contenders.items()},
        "device": where,
        "plan": asdict(plan),
    }
    key = content_key(_STAGE, _VERSION, fields)
    return read_rounds(device.store.produce(_STAGE, key, {"setting": said}, make))
