"""The folder with what is to be timed on a device that was not there: bundles, and a script for all."""

from __future__ import annotations

import json
import os
import shutil
from importlib.resources import files
from pathlib import Path

from ...profiles.errors import UserError
from ...profiles.files import folder_aside, remove_left, sync, sync_tree, write_whole
from ...search.bundles.files import is_whole
from ...search.ranking.known import trial_of
from ...search.record.evaluation import StudyRecord
from .write import bundle_written, export_bundle

TO_MEASURE, SCRIPT = "to-measure", "measure.py"
_LIST = "artifacts.json"


def folder_to_measure(record: StudyRecord, run_dir: Path, command: str) -> Path | None:
    """Write `run_dir/to-measure` for the artifacts that the study names, in the place of an earlier one;
    where it has these already it stays, and what was measured there stays in any case. `command` runs
    the study, with the timings it corrects the estimates. None where nothing is to be measured.

    Raises:
        UserError: it cannot be written, or something else stands there.
    """
    into, known = run_dir / TO_MEASURE, record.estimated
    if known is None or not known.to_measure:
        return None
    keys = {n: trial_of(record, n).evaluation.artifact_key for n in known.to_measure}
    remove_left(run_dir, TO_MEASURE)
    ours = (into / _LIST).is_file()
    if ours and _holds(into, keys):
        return into
    if os.path.lexists(into) and not ours:
        raise UserError(
            "something else stands where the artifacts to measure belong",
            place=str(into),
            remedy="move it away; `paretune export RUN TRIAL` writes single bundles elsewhere",
        )
    with bundle_written(into), folder_aside(run_dir, TO_MEASURE) as aside:
        new = aside / "new"
        new.mkdir()
        for number in keys:
            export_bundle(record, number, new / f"trial-{number}")
        write_whole(new / SCRIPT, _script(record, command))
        write_whole(new / _LIST, json.dumps(keys, indent=1))
        if ours:
            for measured in into.glob("*.csv"):
                shutil.copyfile(measured, new / measured.name)
            into.replace(aside / "earlier")
        new.chmod(0o755)
        sync_tree(new)
        new.replace(into)
        sync(run_dir)
    return into


def _holds(into: Path, keys: dict[int, str]) -> bool:
    """Whether the folder has these artifacts, all of them whole."""
    try:
        known = json.loads((into / _LIST).read_bytes())
    except (OSError, ValueError):
        return False
    wanted = {str(number): key for number, key in keys.items()}
    return bool(known == wanted) and all(is_whole(into / f"trial-{number}") for number in wanted)


def _script(record: StudyRecord, command: str) -> str:
    text = files("paretune.reports").joinpath("templates", "measure.py.in").read_text(encoding="utf-8")
    assert record.estimated is not None
    # These stand inside a docstring: nothing in them may end that.
    correct = f"{command} --measurements measurements.csv"
    told = {"STUDY": record.name, "DEVICE": record.estimated.device, "COMMAND": correct}
    for name, value in told.items():
        text = text.replace(f"@{name}@", value.replace("\\", "/").replace('"', "'"))
    return text


def to_measure_line(record: StudyRecord, run_dir: Path, command: str) -> str:
    """What is to be measured, and what then; empty where nothing is."""
    try:
        into = folder_to_measure(record, run_dir, command)
    except UserError as error:
        return f"nothing was written to be measured on the device: {error}"
    if into is None:
        return ""
    return (
        f"to measure: {into}: copy it to the device, run `python {SCRIPT}` there, bring measurements.csv "
        f"back, and correct the estimates: {command} --measurements {into / 'measurements.csv'}"
    )
