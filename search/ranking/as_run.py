"""How a finalist is run, and what that gains over the setting at which the study searched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ..record.evaluation import Quantity, StudyRecord
from ..record.options import BATCH, Options, changes
from ..record.setting import Setting


def options_of(record: StudyRecord, number: int) -> Options | None:
    """What was tried of a finalist; None where nothing was."""
    found = (one.deployed.options for one in record.finalists if one.number == number)
    return next(found, None)


def artifact_of(record: StudyRecord, number: int) -> tuple[str, Setting | None]:
    """The key of the artifact that a complete trial is deployed as, and the setting that it is run by (None:
    that of the study)."""
    own = next(trial.evaluation.artifact_key for trial in record.trials if trial.number == number)
    options = options_of(record, number)
    if options is None or options.chosen == options.default:
        return own, None
    return options.artifact_key or own, options.chosen


def changes_text(setting: Setting, default: Setting) -> str:
    """ "threads 2, spinning off"; the default's own is "as searched"."""
    return words_of(changes(setting, default)) or "as searched"


def words_of(changed: Mapping[str, str]) -> str:
    """ "threads 2, spinning off"."""
    return ", ".join(f"{name} {value}" for name, value in changed.items())


def gain(ratio: Quantity) -> Quantity:
    """How many times as many samples in a time, of a ratio of the time that one takes."""
    low, high = (None if end is None else 1 / end for end in (ratio.high, ratio.low))
    return replace(ratio, value=1 / ratio.value, low=low, high=high)


def as_run_lines(record: StudyRecord, number: int) -> list[str]:
    """Of a finalist that is run otherwise than the study searched: how, and what that gains."""
    options = options_of(record, number)
    if options is None or options.ratio_to_default is None:
        return []
    found = gain(options.ratio_to_default)
    times = f"{found.value:.3g} times"
    if found.low is not None and found.high is not None:
        times += f" (95 % interval {found.low:.3g} to {found.high:.3g})"
    batch = " Its latency is that of a run of the whole batch." if BATCH in options.changes else ""
    return [
        f"Run it with {words_of(options.changes)}: {times} as many samples in the same time as with "
        f"{options.default.title}, measured afresh side by side.{batch}"
    ]
