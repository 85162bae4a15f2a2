"""How a night ended, and in what words."""

from __future__ import annotations

import traceback
from dataclasses import replace

from ...backends.runner.trouble import UnreachableError
from ...profiles.errors import ParetuneError, UserError
from ...profiles.files import says_full
from ...profiles.system_trouble import explained
from ...profiles.words import counted, joined, one_line
from ...search.nights.night import Night, NightStatus
from ...search.ranking.reading import Reading
from ...search.ranking.verdict import DO_NOTHING, MET
from ...search.record.checks import Checked, CheckOutcome
from ...search.record.stops import DeviceGoneError
from ..content.checks import checked_info

_MOST_LOG = 8000


def device_is_off(error: BaseException) -> bool:
    """Whether a night was not possible since its device does not answer: nobody's fault, and
    over by itself."""
    if isinstance(error, UnreachableError):
        return error.trouble.mends
    return isinstance(error, DeviceGoneError)


def ended_by(error: BaseException, night: Night, *, over: bool) -> Night:
    """A night that something has ended; `over`: its time was."""
    if isinstance(error, KeyboardInterrupt) and over:
        reason = "what was finished is kept, and the next night goes on from there"
        return replace(
            night,
            status=NightStatus.UNFINISHED,
            headline="Unfinished: the night was over first",
            reason=reason,
        )
    if isinstance(error, KeyboardInterrupt):
        return replace(night, status=NightStatus.STOPPED, headline="Stopped by its user", reason="")
    if device_is_off(error):
        reason = str(error)
        return replace(
            night, status=NightStatus.SKIPPED, headline="Skipped: the device does not answer", reason=reason
        )
    told = error if isinstance(error, ParetuneError) else explained(error)
    why = "the disk is full" if says_full(error) else _cause(told or error)
    log = "" if told is not None else "".join(traceback.format_exception(error))[-_MOST_LOG:]
    return replace(
        night, status=NightStatus.FAILED, headline=f"Failed: {why}", reason=str(told or error), log=log
    )


def _cause(error: BaseException) -> str:
    if isinstance(error, UserError):
        return one_line(error.problem, 160)
    return one_line(
        f"{error}" if isinstance(error, ParetuneError) else f"{type(error).__name__}: {error}", 160
    )


def judged(night: Night, reading: Reading, *, accept: bool) -> Night:
    """A night that has its answer: regressed, unusable or good."""
    failed = night.having(CheckOutcome.FAILED)
    if failed:
        found = _named(night)
        if accept:
            return replace(
                night,
                status=NightStatus.GOOD,
                accepted=True,
                headline=f"Accepted, though it regressed: {found}",
            )
        return replace(night, status=NightStatus.REGRESSED, headline=f"Regressed: {found}")
    if reading.verdict.status not in (MET, DO_NOTHING):
        reason = reading.verdict.headline
        return replace(
            night, status=NightStatus.UNUSABLE, headline="No candidate meets the limits", reason=reason
        )
    return replace(night, status=NightStatus.GOOD, headline=_fine(night), reason=reading.verdict.headline)


def _named(night: Night) -> str:
    """What failed, in words."""
    parts = []
    for checked, where in ((night.verified, "what is deployed"), (night.regressed, "what was found")):
        titles = _titles(checked)
        if titles:
            parts.append(f"{joined(titles)} of {where}")
    return "; ".join(parts)


def _titles(checked: Checked | None) -> list[str]:
    failed = () if checked is None else checked.having(CheckOutcome.FAILED)
    return list(dict.fromkeys(checked_info(check.metric).title.lower() for check in failed))


def _fine(night: Night) -> str:
    passed = len(night.having(CheckOutcome.PASSED))
    if not night.checks:
        return "Fine: the first night, which later ones are compared with"
    unclear = len(night.having(CheckOutcome.INCONCLUSIVE))
    rest = f", {unclear} could not tell" if unclear else ""
    return f"Fine: nothing regressed ({counted(passed, 'check')} passed{rest})"
