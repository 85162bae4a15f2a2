"""How a night ended, and in what words."""

from __future__ import annotations

import traceback
from dataclasses import replace

from ...backends.runner.trouble import UnreachableError
from ...profiles.errors import ParetuneError, UserError
from ...profiles.system_trouble import explained
from ...profiles.words import counted, joined, one_line
from ...search.nights.night import Night, NightStatus
from ...search.ranking.reading import Reading
from ...search.ranking.verdict import DO_NOTHING, MET
from ...search.record.checks import VERDICT, CheckOutcome
from ...search.record.stops import DeviceGoneError
from ..content.checks import check_rows
from ..content.views import DASH

_MOST_LOG = 8000


def device_is_off(error: BaseException) -> bool:
    """Whether a night was not possible since its device does not answer: nobody's fault, and
    over by itself."""
    if isinstance(error, UnreachableError):
        return error.trouble.mends
    return isinstance(error, DeviceGoneError) or isinstance(error.__cause__, DeviceGoneError)


def ended_by(error: BaseException, night: Night, *, over: bool, full: bool = False) -> Night:
    """A night that something has ended; `over`: its time was, `full`: the disk is."""
    if isinstance(error, KeyboardInterrupt) and over:
        reason = "what was finished is kept, and the next night goes on from there"
        return replace(
            night,
            status=NightStatus.UNFINISHED,
            headline="the night was over before the study was",
            reason=reason,
        )
    if isinstance(error, KeyboardInterrupt):
        return replace(night, status=NightStatus.STOPPED, headline="stopped by its user", reason="")
    if device_is_off(error):
        reason = str(error)
        return replace(
            night, status=NightStatus.SKIPPED, headline="the device does not answer", reason=reason
        )
    told = error if isinstance(error, ParetuneError) else explained(error)
    why = "the disk is full" if full else _cause(told or error)
    log = "" if told is not None else "".join(traceback.format_exception(error))[-_MOST_LOG:]
    return replace(night, status=NightStatus.FAILED, headline=why, reason=str(told or error), log=log)


def _cause(error: BaseException) -> str:
    if isinstance(error, UserError):
        return one_line(error.problem, 160)
    return one_line(
        f"{error}" if isinstance(error, ParetuneError) else f"{type(error).__name__}: {error}", 160
    )


def judged(night: Night, reading: Reading, *, accept: bool) -> Night:
    """A night that has its answer: regressed, unusable or good."""
    answer = reading.verdict
    if night.having(CheckOutcome.FAILED):
        status = NightStatus.GOOD if accept else NightStatus.REGRESSED
        accepted = "accepted: " if accept else ""
        return replace(
            night,
            status=status,
            accepted=accept,
            headline=f"{accepted}{_failed(night)}",
            reason=answer.headline,
        )
    if answer.status not in (MET, DO_NOTHING) and not _by_noise(night):
        return replace(
            night,
            status=NightStatus.UNUSABLE,
            headline="no candidate meets the limits",
            reason=answer.headline,
        )
    return replace(night, status=NightStatus.GOOD, headline=_fine(night), reason=answer.headline)


def _by_noise(night: Night) -> bool:
    """Whether limits that were met before are missed by no more than noise explains."""
    verdicts = () if night.regressed is None else night.regressed.checks
    return any(one.metric == VERDICT and one.outcome is CheckOutcome.INCONCLUSIVE for one in verdicts)


def _failed(night: Night) -> str:
    """The first check that failed, with its numbers, and which others did."""
    rows = [row for checked in (night.regressed, night.verified) if checked for row in check_rows(checked)]
    failed = [row for row in rows if row.outcome is CheckOutcome.FAILED]
    first, others = failed[0], {row.what.lower() for row in failed[1:]} - {failed[0].what.lower()}
    change = "is out of its band" if first.change == DASH else first.change
    tolerated = "" if first.tolerated == DASH else f", where {first.tolerated} is tolerated"
    more = f"; {joined(sorted(others))} as well" if others else ""
    return f"{first.subject}: {first.what.lower()} {change}{tolerated}{more}"


def _fine(night: Night) -> str:
    if not night.checks:
        return "the first night, which later ones are compared with"
    passed, unclear = len(night.having(CheckOutcome.PASSED)), len(night.having(CheckOutcome.INCONCLUSIVE))
    rest = f", {unclear} could not tell" if unclear else ""
    return f"nothing regressed: {counted(passed, 'check')} passed{rest}"
