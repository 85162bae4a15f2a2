"""A night as JUnit's XML: one suite for the night itself and one for each thing that was checked."""

from __future__ import annotations

from ...search.nights.night import Night, NightStatus
from ..pages.junit import JunitCase, JunitSuite, cases_of, junit_text

_KINDS = {
    NightStatus.FAILED: "error",
    NightStatus.KILLED: "error",
    NightStatus.STOPPED: "error",
    NightStatus.UNUSABLE: "failure",
    NightStatus.SKIPPED: "skipped",
    NightStatus.UNFINISHED: "skipped",
}


def junit_xml(night: Night) -> str:
    """The document."""
    own = JunitSuite(name="night", cases=(_of_night(night),), seconds=night.seconds, began=night.began)
    checked = (("deployed", night.verified), ("found", night.regressed))
    suites = (
        JunitSuite(name=name, cases=cases_of(one), began=night.began)
        for name, one in checked
        if one is not None
    )
    return junit_text(f"paretune nightly {night.study}", [own, *suites])


def _of_night(night: Night) -> JunitCase:
    return JunitCase(
        classname="paretune.night",
        name="the night has an answer",
        kind="error" if night.overdue else _KINDS.get(night.status, ""),
        message=night.headline,
        text="\n".join(filter(None, (night.reason, night.log))),
    )
