"""The question what an inference takes of the device's meter, above idle and in all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ....backends.energy.chosen import ChosenMeter
from ....backends.energy.summary import EnergySummary, summarized
from ....backends.energy.windows import MeterWindows
from ....backends.runner.client import RunnerClient
from ....backends.runner.meters import ask_windows, window
from ....profiles.errors import StageError
from ...record.deployed import Deployed
from ...record.energy import MeteredEnergy
from ..device.stages import DeviceStages
from .further import Subject, Told

STAGE, ENERGY = "energy", "energy_mj"
_VERSION, _MARGIN_S = 1, 60.0


class MeterFailedError(StageError):
    """The meter, and not the artifact, failed."""


class EnergyQuestion:
    """`wanted`: a limit or an objective names energy. Else it is asked where the profile names the meter, or
    it is quick. `checkpoint` is called meanwhile, and may end it."""

    metrics = frozenset({ENERGY})

    def __init__(self, *, wanted: bool, checkpoint: Callable[[], None] = lambda: None) -> None:
        self._wanted, self._checkpoint = wanted, checkpoint

    def told(self, subject: Subject, device: DeviceStages) -> Told:
        """Energy above idle, and what the meter told beside it; nothing where there is no meter."""
        meter = device.deployment.meter
        run_s = subject.known["latency_ms"].value / 1e3
        if meter is None or not meter.asked(wanted=self._wanted, run_s=run_s):
            return Told()
        count = meter.windows_for(wanted=self._wanted, thorough=subject.thorough)

        def ask(runner: RunnerClient) -> Mapping[str, Any]:
            seconds = meter.longest_s(count, run_s) + _MARGIN_S
            windows, refused = ask_windows(runner, seconds, meter.body(count), self._checkpoint)
            if windows is None:
                raise MeterFailedError(STAGE, refused, outside=True)
            return {"turns": windows.to_json()}

        parts = {"meter": meter.facts.title, "rails": list(meter.wish.rails), "windows": count}
        if meter.least_s:
            parts["least_s"] = meter.least_s
        try:
            entry = device.apart.asked(
                STAGE, _VERSION, subject.compiled, subject.backend, parts, ask, subject.setting
            )
        except MeterFailedError as error:
            if not subject.thorough:
                raise
            return Told(deployed=Deployed(untold={ENERGY: error.cause}))
        windows = MeterWindows(turns=tuple(window(one, "turns") for one in entry.meta["turns"]))
        how = subject.setting or device.deployment.usual
        found = summarized(windows, meter.facts, how.batch, device.spread)
        metrics = {} if found.above_mj is None else {ENERGY: found.above_mj}
        untold = {ENERGY: found.untold} if found.untold else {}
        deployed = Deployed(energy=_record(found, meter, windows), untold=untold)
        return Told(metrics=metrics, deployed=deployed, entries=(entry,))


def _record(found: EnergySummary, meter: ChosenMeter, windows: MeterWindows) -> MeteredEnergy:
    return MeteredEnergy(
        in_all_mj=found.in_all_mj,
        idle_w=found.idle_w,
        meter=meter.facts.kind,
        rail=meter.facts.rail,
        scope=meter.facts.scope,
        windows=len(windows.work),
        window_s=windows.work[0].seconds,
        verdict=found.verdict,
    )
